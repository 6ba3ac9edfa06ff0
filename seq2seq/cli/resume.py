"""``resume=<run folder>``: continue a run with its configuration and some changes."""

from __future__ import annotations

import os
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

#: Keys that a resumed run may change.
CHANGEABLE = ("trainer.", "validation.", "test.", "data.training.", "survival.", "debug")


def split_resume(arguments: list[str]) -> tuple[Path | None, list[str]]:
    """Return the run folder of ``resume=…``, or None, and the other arguments."""
    folder = None
    others = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key == "resume" and value not in ("", "null"):
            folder = Path(os.path.expanduser(value.strip("'\"")))
        else:
            others.append(argument)
    return folder, others


def resume_arguments(folder: Path) -> list[str]:
    """Return arguments that let Hydra run in ``folder`` without changing its files there."""
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    return [f"resume='{quoted}'", f"hydra.run.dir='{quoted}'", "hydra.output_subdir=null"]


def run_configuration(folder: Path) -> Path:
    """Return the file of the configuration with which the run in ``folder`` began.

    Raises:
        FileNotFoundError: if the folder is not a run folder.
    """
    path = folder / ".hydra" / "config.yaml"
    if not path.is_file():
        raise FileNotFoundError(
            f"resume={folder} is not a run folder: it has no .hydra/config.yaml"
        )
    return path


def resumed_config(folder: Path, changes: list[str]) -> DictConfig:
    """Return the configuration in ``folder`` with ``key=value`` changes.

    Only settings such as the length of training and logging may change. Settings on which the
    training state depends (model, data, optimizer, …) stay the same.

    Raises:
        FileNotFoundError: if the folder is not a run folder.
        ValueError: if a key may not change, or does not exist.
    """
    config = OmegaConf.load(run_configuration(folder))
    assert isinstance(config, DictConfig)
    OmegaConf.set_struct(config, True)
    for override in OverridesParser.create().parse_overrides(changes):
        key = override.key_or_group
        if override.type is not OverrideType.CHANGE:
            raise ValueError(f"{override.input_line}: to resume, write changes as key=value")
        if not key.startswith(CHANGEABLE) or isinstance(OmegaConf.select(config, key), DictConfig):
            raise ValueError(
                f"{override.input_line}: a resumed run keeps its {key}; only keys of "
                "trainer, validation, test, survival and data.training may change"
            )
        try:
            OmegaConf.update(config, key, override.value())
        except OmegaConfBaseException as error:
            raise ValueError(f"the configuration of {folder} has no {key}; remove it") from error
    config.resume = str(folder)
    return config


def own_vocabularies(folder: Path) -> dict[str, str]:
    """Return the vocabularies of the run in ``folder``, as settings of ``data.subwords``.

    If the corpus has changed, new vocabularies would not fit the weights. Runs of early versions
    have no vocabularies beside their checkpoints, so theirs are built again.
    """
    found = {}
    for stem, ending in (("subwords", "model"), ("words", "json")):
        for side in ("source", "target"):
            for path in (folder / f"{stem}.{ending}", folder / f"{stem}.{side}.{ending}"):
                if path.is_file():
                    found[f"{side}_model"] = str(path)
    return found
