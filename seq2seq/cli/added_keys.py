"""Refuse keys that are added to the configuration with ``+`` and that nothing reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

#: Nodes without a class that take any key: their content goes to a class later on.
OPEN = ("hydra", "task", "data.corpora")
#: Arguments of ``lightning.Trainer`` that training sets itself.
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
    """Refuse overrides ``+key=value`` or ``++key=value`` whose key nothing would read.

    A key below a node with a ``_target_`` is an argument of that class, which refuses the
    unknown ones itself. Anywhere else all keys that there are stand in the configuration already.

    Args:
        config: composed.
        overrides: of the command line.
        groups: the folder of configuration groups; choosing from one adds no key.
        compose: composes the configuration from other overrides.

    Raises:
        ValueError: naming the override.
    """
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.key_or_group
        line = override.input_line
        if not (override.is_add() or override.is_force_add()) or (groups / key).is_dir():
            continue
        if override.is_force_add():  # it adds only what is not there
            before = compose([other for other in overrides if other != line])
            if OmegaConf.select(before, key, default=before) is not before:
                continue
        if key.startswith("trainer.") and key.split(".")[1] in SET_BY_TRAINING:
            raise ValueError(f"{line}: seq2seq-train sets {key} itself; leave it out")
        if not any(key == name or key.startswith(f"{name}.") for name in OPEN) and not _built(
            config, key
        ):
            raise ValueError(
                f"{line}: nothing reads {key}; leave it out, or look for the key that you mean "
                "in --cfg job, and set it without +"
            )


def _built(config: DictConfig, key: str) -> bool:
    """Return whether a node above the key is built from a class, and so takes arguments."""
    parts = key.split(".")
    above = (OmegaConf.select(config, ".".join(parts[:n])) for n in range(1, len(parts)))
    return any(isinstance(node, DictConfig) and "_target_" in node for node in above)
