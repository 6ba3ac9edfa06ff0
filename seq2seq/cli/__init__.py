"""The commands: thin Hydra applications over the library."""
