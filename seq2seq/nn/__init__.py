"""Layers and losses, one idea a module; plain PyTorch."""
