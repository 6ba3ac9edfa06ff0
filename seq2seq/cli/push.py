"""``seq2seq-push``: publish a checkpoint to a folder or to the Hugging Face hub."""

from __future__ import annotations

import logging

from omegaconf import DictConfig

from seq2seq.cli.application import run
from seq2seq.cli.trusting import trust_packages, trusting

log = logging.getLogger(__name__)


def push_checkpoint(config: DictConfig) -> None:
    """Load a checkpoint to check it, publish it, and print how to use it."""
    from seq2seq.checkpoint import load_checkpoint
    from seq2seq.publishing.push import push

    trust_packages(config)
    checkpoint = load_checkpoint(config.checkpoint)
    if not (checkpoint.folder / "metrics.json").is_file():
        log.warning(
            "the checkpoint has no scores, and its card says so; evaluate it first with: "
            "seq2seq-evaluate checkpoint=%s",
            config.checkpoint,
        )
    place = push(
        checkpoint,
        config.to,
        private=config.private,
        name=config.name,
        license=config.license,
    )
    print(f"pushed: {place}")
    print(f"Use it: {checkpoint.task.use} checkpoint={place}{trusting(checkpoint.config)}")


def main() -> None:
    """Entry point of ``seq2seq-push``."""
    run(push_checkpoint, "push")


if __name__ == "__main__":
    main()
