"""Training: the Lightning module, its callbacks, learning-rate schedules, the run folder."""
