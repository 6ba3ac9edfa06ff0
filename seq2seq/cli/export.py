"""``seq2seq-export``: export a checkpoint as programs that run without this package."""

from __future__ import annotations

from omegaconf import DictConfig

from seq2seq.cli.application import run
from seq2seq.cli.trusting import trust_packages


def export_checkpoint(config: DictConfig) -> None:
    """Load and export a checkpoint, and print the written files."""
    from seq2seq.checkpoint import load_checkpoint
    from seq2seq.publishing.export import export

    trust_packages(config)
    folder = export(load_checkpoint(config.checkpoint), config.output, config.format)
    for path in sorted(folder.iterdir()):
        print(f"written: {path}")


def main() -> None:
    """Entry point of ``seq2seq-export``."""
    run(export_checkpoint, "export")


if __name__ == "__main__":
    main()
