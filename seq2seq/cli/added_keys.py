"""Find keys that are added to the configuration with ``+`` but that nothing reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

#: Nodes without a class that allow any key, because their content becomes arguments later.
OPEN = ("hydra", "task", "data.corpora")
#: Arguments of ``lightning.Trainer`` that seq2seq-train sets.
SET_BY_TRAINING = (
    *("callbacks", "default_root_dir", "enable_checkpointing", "enable_model_summary"),
    *("inference_mode", "logger", "num_nodes", "plugins", "use_distributed_sampler"),
)


def check_added(
    config: DictConfig,
    overrides: Sequence[str],
    groups: Path,
    compose: Callable[[list[str]], DictConfig],
) -> None:
    """Raise `ValueError` for ``+key=value`` or ``++key=value`` whose key nothing reads.

    A key below a node with a ``_target_`` is an argument of that class, which raises an error for
    unknown arguments itself. Elsewhere, the configuration has all existing keys already.

    Args:
        config: the composed configuration.
        overrides: overrides of the command line.
        groups: folder of the configuration groups; a choice from a group adds no key.
        compose: function that composes the configuration from other overrides.

    Raises:
        ValueError: naming the override.
    """
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.key_or_group
        line = override.input_line
        if not (override.is_add() or override.is_force_add()) or (groups / key).is_dir():
            continue
        if override.is_force_add():  # it adds a key only if it is missing
            before = compose([other for other in overrides if other != line])
            if OmegaConf.select(before, key, default=before) is not before:
                continue
        if key.startswith("trainer.") and key.split(".")[1] in SET_BY_TRAINING:
            raise ValueError(f"{line}: seq2seq-train sets {key} itself; remove it")
        if not any(key == name or key.startswith(f"{name}.") for name in OPEN) and not _built(
            config, key
        ):
            raise ValueError(
                f"{line}: nothing reads {key}; remove it, or look for the right key in --cfg job "
                "and set it without +"
            )


def _built(config: DictConfig, key: str) -> bool:
    """Return True if a node above the key has a class, so that the key is its argument."""
    parts = key.split(".")
    above = (OmegaConf.select(config, ".".join(parts[:n])) for n in range(1, len(parts)))
    return any(isinstance(node, DictConfig) and "_target_" in node for node in above)
