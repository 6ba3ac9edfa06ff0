"""A trained model for others: programs without this package, a model card, a folder or the hub."""
