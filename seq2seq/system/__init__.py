"""What all other layers need of the machine: processes, atomic writing, untrusted files."""
