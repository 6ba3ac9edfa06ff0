"""``init=<checkpoint>``: start a new run with the model and vocabularies of a checkpoint.

Settings of the command line and of the experiment are kept. All other settings of the model, its
mappings and its vocabularies are taken from the checkpoint.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from omegaconf import DictConfig, OmegaConf, open_dict

from seq2seq.cli.application import config_folder, configured_classes, plain
from seq2seq.cli.importing import quick_imports

if TYPE_CHECKING:
    from seq2seq.checkpoint import Checkpoint

log = logging.getLogger(__name__)

#: The default of ``init``.
NOTHING_TAKEN: dict[str, Any] = {"checkpoint": None, "freeze": [], "extend_vocabulary": False}
#: Settings of ``data.subwords`` for training, not for the vocabulary.
OF_TRAINING = ("sampling",)
#: Settings for learning new pieces.
OF_NEW_PIECES = ("size", "character_coverage", "min_frequency", "most_sentences", "seed")
#: Settings for vocabularies of the user.
OF_USER = ("source_model", "target_model")
_ATTENTION = "${attention}"  # reference of a model's configuration to the mapping of attention=


def spelled_out(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with ``init.checkpoint=…`` instead of ``init=…``."""
    return [re.sub(r"^init=", "init.checkpoint=", text) for text in arguments]


def begun(config: DictConfig) -> DictConfig:
    """Return the configuration of a new run with the settings from ``init.checkpoint``.

    Also rewrites Hydra's record of the run, ``.hydra/config.yaml``, so that resuming the run does
    not need the checkpoint.

    Raises:
        ValueError: if the checkpoint cannot be loaded, or does not fit the configuration.
    """
    settings = config.init
    if not isinstance(settings, DictConfig):  # init: RUN in an experiment
        settings = {"checkpoint": settings}
    with open_dict(config):
        config.init = {**NOTHING_TAKEN, **settings}
    init = plain(config, "init")["init"]
    if isinstance(init["freeze"], str):
        config.init.freeze = [init["freeze"]]
    if init["checkpoint"] is None:
        if unused := [key for key, default in NOTHING_TAKEN.items() if init[key] != default]:
            raise ValueError(f"init.{unused[0]} needs a trained model to start from; add init=RUN")
        return config
    checkpoint = _loaded(str(init["checkpoint"]))
    _check_task(config, checkpoint)
    wanted = _wanted(config, checkpoint)
    with open_dict(wanted.config):
        _take_labels(wanted, checkpoint)
        _take_subwords(wanted, checkpoint)
        differing = _take_model(wanted, checkpoint)
    _check_architecture(wanted.config, checkpoint, differing)
    _keep(wanted.config)
    return wanted.config


def _loaded(place: str) -> Checkpoint:
    with quick_imports():
        from seq2seq.checkpoint import CheckpointError, load_checkpoint

    try:
        return load_checkpoint(place)
    except CheckpointError as error:
        raise ValueError(str(error).replace(f"checkpoint={place}", f"init={place}")) from error


def _check_task(config: DictConfig, checkpoint: Checkpoint) -> None:
    """Raise `ValueError` if the checkpoint's model cannot do the task; log another task."""
    from hydra.utils import get_class

    task: Any = get_class(config.task["_target_"])
    trained = type(checkpoint.task)
    if issubclass(task, trained):
        return
    names = _configurations("task", f"{trained.__module__}.{trained.__name__}")
    choice = f"task={names[0]}" if names else f"the task {trained.__name__}"
    if not isinstance(checkpoint.model, task.model_type):
        raise ValueError(
            f"init={config.init.checkpoint} was trained for {choice}, and its "
            f"{type(checkpoint.model).__name__} cannot do {task.__name__}; add {choice}"
        )
    log.info("the checkpoint was trained for %s, this run is for %s", choice, task.__name__)


def _configurations(group: str, target: str) -> list[str]:
    """Return the names of the configurations in a group that build a class."""
    return [name for name, built in configured_classes(group).items() if built == target]


@dataclass(frozen=True)
class _Wanted:
    """The configuration that the user asks for.

    Attributes:
        config: composed configuration; its model has the checkpoint's class.
        baseline: configuration of the same task, corpus and model, without other choices.
        keys: keys on the command line, such as ``model.output_mapping`` for
            ``attention@model.output_mapping=…``.
    """

    config: DictConfig
    baseline: DictConfig
    keys: frozenset[str]

    def sets(self, key: str) -> bool:
        """Return True if the command line names a key, or its value is not the default."""
        here, default = (OmegaConf.select(c, key) for c in (self.config, self.baseline))
        return key in self.keys or here != default

    def chooses(self, place: str) -> bool:
        """Return True if the user chooses the mapping at a key, or its class is not the default."""
        here, default = (OmegaConf.select(c, place) for c in (self.config, self.baseline))
        return place in self.keys or _target(here) != _target(default)

    def below(self, place: str) -> list[str]:
        """Return the parameters of a mapping that the user sets."""
        node = OmegaConf.select(self.config, place)
        names = map(str, node) if isinstance(node, DictConfig) else ()
        return [name for name in names if self.sets(f"{place}.{name}")]


def _wanted(config: DictConfig, checkpoint: Checkpoint) -> _Wanted:
    """Return the user's configuration; without a choice of a model, with the checkpoint's.

    Raises:
        ValueError: if the user chooses a model of another class.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.override_parser.overrides_parser import OverridesParser

    overrides = list(HydraConfig.get().overrides.task)
    parsed = OverridesParser.create().parse_overrides(overrides)
    keys = frozenset(override.package or override.key_or_group for override in parsed)
    choices = HydraConfig.get().runtime.choices
    chosen = [f"{group}={choices[group]}" for group in ("task", "data")]
    name, own = choices["model"], type(checkpoint.model)
    if config.model["_target_"] != (target := checkpoint.config["model"]["_target_"]):
        names = _configurations("model", target)
        usual = _composed(chosen)[1]["model"]
        if "model" in keys or name != usual or not names:
            raise ValueError(
                f"init={config.init.checkpoint} has a {own.__name__}, but model={name} is another "
                "architecture, with other weights; remove the choice of a model"
            )
        name = names[0]
        init = config.init
        config, _ = _composed([*overrides, f"model={name}"])
        with open_dict(config):
            config.init = init
    baseline, _ = _composed([*chosen, f"model={name}"])
    return _Wanted(config, baseline, keys)


def _composed(overrides: list[str]) -> tuple[DictConfig, Any]:
    """Compose a configuration of seq2seq-train; return it and its choices.

    The search path of configuration groups is that of this run.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    places = [text for text in HydraConfig.get().overrides.hydra if "searchpath" in text]
    if GlobalHydra.instance().is_initialized():
        config = compose("train", [*places, *overrides], return_hydra_config=True)
    else:  # in a process of a parallel sweep
        sources = HydraConfig.get().runtime.config_sources
        if folders := [f"file://{s.path}" for s in sources if s.provider == "command-line"]:
            places = [f"hydra.searchpath={folders}"]
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            config = compose("train", [*places, *overrides], return_hydra_config=True)
    choices = config.hydra.runtime.choices
    with open_dict(config):
        del config["hydra"]
    return config, choices


def _take_labels(wanted: _Wanted, checkpoint: Checkpoint) -> None:
    """Keep the labels of a classifier.

    Raises:
        ValueError: if the user sets other labels, because the weights are for the old ones.
    """
    if (labels := checkpoint.task.labels) is None or "labels" not in wanted.config.task:
        return
    if wanted.sets("task.labels") and list(wanted.config.task.labels) != list(labels):
        raise ValueError(
            f"task.labels={list(wanted.config.task.labels)} are not the classes of init="
            f"{wanted.config.init.checkpoint}, which are {list(labels)}; remove task.labels"
        )
    wanted.config.task.labels = list(labels)


def _take_subwords(wanted: _Wanted, checkpoint: Checkpoint) -> None:
    """Set ``data.subwords`` to the checkpoint's settings of its vocabularies, if it has them.

    Raises:
        ValueError: if the command line sets other ones.
    """
    from seq2seq.data.words import Words

    subwords, extends = wanted.config.data.subwords, wanted.config.init.extend_vocabulary
    free = OF_TRAINING + (OF_NEW_PIECES if extends else ())
    for key in map(str, subwords):
        named = f"data.subwords.{key}" in wanted.keys
        if key not in free and (named or (key in OF_USER and subwords[key] is not None)):
            raise ValueError(
                f"data.subwords.{key}={subwords[key]}: a run that starts from a checkpoint has the "
                "checkpoint's vocabulary; remove this"
                + ("" if extends else ", or add pieces to it with init.extend_vocabulary=true")
            )
    data = checkpoint.config.get("data")
    described = data.get("subwords") if isinstance(data, dict) else None
    for key, value in described.items() if isinstance(described, dict) else ():
        if key in subwords and key not in (*free, *OF_USER) and _is_plain(value):
            subwords[key] = value
    subwords.joint = checkpoint.subwords.joint
    if isinstance(checkpoint.subwords.source, Words):
        subwords.kind = "word"
    elif subwords.kind == "word":
        subwords.kind = "unigram"


def _is_plain(value: Any) -> bool:
    """Return True if a value, which may be untrusted, is a number or a simple word."""
    is_word = isinstance(value, str) and re.fullmatch(r"\w*", value) is not None
    return is_word or isinstance(value, int | float)


def _take_model(wanted: _Wanted, checkpoint: Checkpoint) -> list[str]:
    """Take the checkpoint's settings of the model, except those that the user sets.

    Returns:
        The user's settings that differ from the checkpoint's, without mappings.
    """
    model, mappings, differing = wanted.config.model, {}, []
    for key, value in _settings(checkpoint).items():
        if key in _mappings(type(checkpoint.model)):
            mappings[key] = _with_annealed_gamma(checkpoint, key, value)
        elif key not in model:
            if key in checkpoint.config["model"]:
                model[key] = value
        elif not wanted.sets(f"model.{key}"):
            if model[key] != value:
                log.info("model.%s=%s, as in the checkpoint (not %s)", key, value, model[key])
            model[key] = value
        elif model[key] != value:
            differing.append(f"model.{key}={model[key]} ({value} in the checkpoint)")
    raw = OmegaConf.to_container(model)
    assert isinstance(raw, dict)
    shared = [key for key in mappings if raw.get(key) == _ATTENTION]
    for key in mappings:
        if key not in shared and not wanted.chooses(f"model.{key}"):
            model[key] = _taken(wanted, f"model.{key}", mappings[key])
    if shared and not wanted.chooses("attention"):
        taken = {key: _taken(wanted, "attention", mappings[key]) for key in shared}
        wanted.config.attention = taken[shared[0]]
        model.update({key: taken[key] for key in shared if taken[key] != taken[shared[0]]})
    return differing


def _settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the settings of the checkpoint's model, without those from its data and task.

    A checkpoint of an earlier version was trained with the defaults of missing settings.
    """
    given = checkpoint.config["model"]
    decided = checkpoint.task.model_arguments(checkpoint.subwords)
    return {
        key: given.get(key, parameter.default)
        for key, parameter in inspect.signature(type(checkpoint.model)).parameters.items()
        if key not in decided and (key in given or parameter.default is not parameter.empty)
    }


def _mappings(model: type) -> set[str]:
    """Return the names of the model's arguments that are mappings."""
    from seq2seq.mappings import Mapping

    hints = get_type_hints(model.__init__)  # type: ignore[misc]
    return {name for name, hint in hints.items() if Mapping in (hint, *get_args(hint))}


def _with_annealed_gamma(checkpoint: Checkpoint, key: str, value: Any) -> Any:
    """Return the configuration of a mapping; if γ was annealed, with its last value."""
    kind = key.removesuffix("mapping").rstrip("_") or "cross"  # kind of `attention_mappings`
    held = checkpoint.model.attention_mappings().get(kind, [])
    gamma = held[0].tensors().get("gamma") if held else None
    if gamma is None or "gamma" in held[0].learned():
        return value
    return {**value, "gamma": float(gamma)}


def _taken(wanted: _Wanted, place: str, value: Any) -> Any:
    """Return the checkpoint's mapping, with the parameters that the user sets.

    Raises:
        ValueError: if they are parameters of another mapping.
    """
    changed = wanted.below(place)
    here = OmegaConf.select(wanted.config, place)
    if changed and _target(here) != _target(value):
        choice = "attention" if place == "attention" else f"attention@{place}"
        raise ValueError(
            f"{place}.{changed[0]}={here[changed[0]]} is set for {_target(here)}, but the "
            f"checkpoint has {_target(value)} there; choose the mapping too: {choice}=…"
        )
    return {**value, **{name: here[name] for name in changed}} if changed else value


def _target(mapping: Any) -> str | None:
    """Return the class in a mapping's configuration; None without a mapping."""
    return None if mapping is None else str(mapping["_target_"]).rpartition(".")[2]


def _check_architecture(config: DictConfig, checkpoint: Checkpoint, differing: list[str]) -> None:
    """Check that the weights fit the settings of the model, before preparing the data.

    Raises:
        ValueError: naming the settings and the shapes that differ.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    from seq2seq.training.transfer import check_architecture

    arguments = checkpoint.task.model_arguments(checkpoint.subwords)
    place = f"init={config.init.checkpoint}: another architecture"
    asked = f" by {', '.join(differing)}" if differing else ""
    try:
        model = instantiate(config.model, **arguments, _convert_="all")
        check_architecture(model, checkpoint.model)
    except InstantiationException as error:
        raise ValueError(f"{place}{asked}: {error.__cause__ or error}") from error
    except ValueError as error:
        raise ValueError(f"{place}{asked}: {error}; remove that setting") from error


def _keep(config: DictConfig) -> None:
    """Write the present configuration to Hydra's record of the run."""
    from hydra.core.hydra_config import HydraConfig

    hydra = HydraConfig.get()
    if hydra.output_subdir is not None:
        path = Path(hydra.runtime.output_dir) / hydra.output_subdir / "config.yaml"
        OmegaConf.save(config, path)
