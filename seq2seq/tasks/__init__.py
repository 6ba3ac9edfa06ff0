"""What a run learns and how it is scored: one file a task."""

from seq2seq.tasks.task import Task

__all__ = ["Task"]
