"""The commands: thin Hydra applications of the library."""
