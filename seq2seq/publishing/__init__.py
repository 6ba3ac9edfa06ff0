"""Publish a trained model: exported programs, a model card, a folder or a hub repository."""
