"""Encoder–decoders whose attention mapping is a plug.

Floors, from the ground up: ``mappings`` (the mathematics), ``data`` (corpora to batches), ``nn``
(layers and losses), ``models``, ``search``, ``checkpoint``, ``evaluation``, ``training``, ``cli``.
A module imports only from floors below its own.
"""

__version__ = "0.1.0"
