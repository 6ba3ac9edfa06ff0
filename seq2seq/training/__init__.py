"""Training: the Lightning module, its callbacks, optimizer schedules, the run folder."""
