"""The checkpoint directory, which users copy, publish and load, also from untrusted sources.

::

    model.safetensors        the weights
    model.safetensors.sha256 their checksum, which loading verifies; sha256sum -c reads it too
    config.yaml              the run's resolved configuration, from which model and data are built
    subwords.model           the SentencePiece model, or words.json (two files if each side has
                             its own)
    metrics.json             scores, if there are any

Loading runs no code from the directory: the weights are safetensors, and the configuration is
plain YAML. Its ``_target_`` may name only classes of this package, and of packages that you
trust.
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
from seq2seq.checkpoint.inspection import check_files

__all__ = [
    "ALLOWED_PACKAGES",
    "CONFIG",
    "WEIGHTS",
    "Checkpoint",
    "CheckpointError",
    "build",
    "check",
    "check_files",
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
