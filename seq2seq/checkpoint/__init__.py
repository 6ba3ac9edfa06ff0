"""The checkpoint directory: what users hold, move, publish and load from strangers.

::

    model.safetensors        the weights
    model.safetensors.sha256 their checksum, which loading compares; sha256sum -c reads it too
    config.yaml              the run's configuration, resolved: model and data are built from it
    subwords.model           the SentencePiece model, or words.json (two files where each side has
                             its own)
    metrics.json             scores, when there are any

Loading runs no code that the directory brings: the weights are safetensors, the configuration is
plain YAML, and the only ``_target_`` it may name are classes of this package, and of those that the
user trusts.
"""

from seq2seq.checkpoint.building import (
    ALLOWED_PACKAGES,
    CONFIG,
    CheckpointError,
    build,
    check_targets,
    checkpoint_task,
    packages_to_trust,
    trust,
)
from seq2seq.checkpoint.checksum import check
from seq2seq.checkpoint.directory import (
    WEIGHTS,
    Checkpoint,
    checkpoint_folder,
    load_checkpoint,
    load_checkpoints,
    load_config,
    save_checkpoint,
)

__all__ = [
    "ALLOWED_PACKAGES",
    "CONFIG",
    "WEIGHTS",
    "Checkpoint",
    "CheckpointError",
    "build",
    "check",
    "check_targets",
    "checkpoint_folder",
    "checkpoint_task",
    "load_checkpoint",
    "load_checkpoints",
    "load_config",
    "packages_to_trust",
    "save_checkpoint",
    "trust",
]
