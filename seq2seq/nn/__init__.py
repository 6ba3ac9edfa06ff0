"""Layers and losses in plain PyTorch."""
