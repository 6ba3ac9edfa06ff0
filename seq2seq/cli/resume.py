"""``resume=<run folder>``: the run's own configuration, with the new command line's changes."""

from __future__ import annotations

from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

#: What a resumed run may change.
CHANGEABLE = ("trainer.", "validation.", "test.", "data.training.", "survival.", "debug")


def split_resume(arguments: list[str]) -> tuple[Path | None, list[str]]:
    """The run folder that ``resume=…`` names, if any, and the remaining arguments."""
    folder = None
    others = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key == "resume" and value not in ("", "null"):
            folder = Path(value.strip("'\"")).expanduser()
        else:
            others.append(argument)
    return folder, others


def resume_arguments(folder: Path) -> list[str]:
    """Arguments that make Hydra work in ``folder`` and leave what it wrote there alone."""
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    return [f"resume='{quoted}'", f"hydra.run.dir='{quoted}'", "hydra.output_subdir=null"]


def run_configuration(folder: Path) -> Path:
    """The configuration with which the run in ``folder`` began, as Hydra wrote it.

    Raises:
        FileNotFoundError: if the folder is not a run folder.
    """
    path = folder / ".hydra" / "config.yaml"
    if not path.is_file():
        raise FileNotFoundError(f"resume={folder}: not a run folder, it has no .hydra/config.yaml")
    return path


def resumed_config(folder: Path, changes: list[str]) -> DictConfig:
    """The configuration in ``folder`` with ``key=value`` changes of how long and how to watch.

    What the state of training depends on (model, data, optimizer, …) stays as it was.

    Raises:
        FileNotFoundError: if the folder is not a run folder.
        ValueError: if a change is not one of those, or names what the configuration does not have.
    """
    config = OmegaConf.load(run_configuration(folder))
    assert isinstance(config, DictConfig)
    OmegaConf.set_struct(config, True)
    for override in OverridesParser.create().parse_overrides(changes):
        key = override.key_or_group
        if override.type is not OverrideType.CHANGE:
            raise ValueError(f"{override.input_line}: a resumed run takes key=value changes only")
        if not key.startswith(CHANGEABLE) or isinstance(OmegaConf.select(config, key), DictConfig):
            raise ValueError(
                f"{override.input_line}: a resumed run keeps its {key}; only keys of "
                "trainer, validation, test, survival and data.training may change"
            )
        try:
            OmegaConf.update(config, key, override.value())
        except OmegaConfBaseException as error:
            raise ValueError(f"{key} is not in the configuration of {folder}") from error
    config.resume = str(folder)
    return config


def own_vocabularies(folder: Path) -> dict[str, str]:
    """The vocabularies that the run in ``folder`` began with, as settings of ``data.subwords``.

    A corpus that has changed since would make others, of which the weights know nothing. Runs of
    earlier versions kept none beside their checkpoints: theirs are made again.
    """
    found = {}
    for stem, ending in (("subwords", "model"), ("words", "json")):
        for side in ("source", "target"):
            for path in (folder / f"{stem}.{ending}", folder / f"{stem}.{side}.{ending}"):
                if path.is_file():
                    found[f"{side}_model"] = str(path)
    return found
