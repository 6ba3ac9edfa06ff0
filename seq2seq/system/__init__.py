"""The lowest layer: processes, atomic writing, and reading of untrusted files."""
