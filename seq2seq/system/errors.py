"""The error for problems with the user's data or vocabulary."""


class DataError(ValueError):
    """Unusable data or vocabulary; the message says what is wrong, where, and how to fix it."""
