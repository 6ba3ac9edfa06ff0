"""The error of everything that is wrong with the user's data or subword model."""


class DataError(ValueError):
    """Data or a subword model that cannot be used; the message says what, where and how to mend."""
