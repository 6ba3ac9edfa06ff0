"""Tasks: what a run learns and how it is scored, with one file for each task."""

from seq2seq.tasks.task import Task

__all__ = ["Task"]
