"""What cannot be published, and why."""


class PublishingError(ValueError):
    """A model, a folder or a repository that does not go together with what was asked for."""
