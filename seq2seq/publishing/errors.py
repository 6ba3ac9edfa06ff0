"""The error for models that cannot be published."""


class PublishingError(ValueError):
    """A model, folder or repository cannot be published or exported as requested."""
