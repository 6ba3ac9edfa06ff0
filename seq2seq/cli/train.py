"""``seq2seq-train``: train an encoder–decoder and evaluate its best checkpoint."""

from __future__ import annotations

import inspect
import logging
import os
import re
import shlex
import sys
import time
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import DictConfig, OmegaConf

from seq2seq.cli.application import check_arguments, configured_classes, plain, run
from seq2seq.cli.beginning import NOTHING_TAKEN, begun, spelled_out
from seq2seq.cli.importing import quick_imports, without_extras
from seq2seq.cli.interruption import Interruption
from seq2seq.cli.launch import check_devices, follow, lead, leads
from seq2seq.cli.resume import (
    own_vocabularies,
    resume_arguments,
    resumed_config,
    run_configuration,
    split_resume,
)
from seq2seq.cli.trusting import trusting
from seq2seq.cli.values import check_values

if TYPE_CHECKING:
    from seq2seq.checkpoint import Checkpoint
    from seq2seq.data.corpora.corpus import Corpus
    from seq2seq.data.loaders import TrainLoader
    from seq2seq.data.parallel import ParallelData
    from seq2seq.data.vocabulary_pair import VocabularyPair
    from seq2seq.models.attending import AttendingModel
    from seq2seq.system.processes import Group
    from seq2seq.tasks.task import Task
    from seq2seq.training.module import Seq2SeqModule

log = logging.getLogger(__name__)

MAPPINGS = ("fusedmax", "sparsemax")  # to try next


def train(
    config: DictConfig, folder: Path, group: Group, changes: Sequence[str] = ()
) -> float | None:
    """Train the model of the configuration, and test it.

    Args:
        config: the composed configuration.
        folder: the run folder.
        group: processes that train together; the first one writes.
        changes: changes to a resumed run's configuration, from the command line.

    Returns:
        The best value of ``validation.monitor``, for sweepers.
    """
    # Import late, so that --help and errors in the configuration are fast: Lightning takes seconds.
    with quick_imports(), without_extras():
        import lightning
        from hydra.utils import get_class, instantiate
        from rich.console import Console

        from seq2seq.checkpoint import load_checkpoint
        from seq2seq.checkpoint.corpus import remember_corpus
        from seq2seq.evaluation.report import metrics_table
        from seq2seq.publishing.provenance import write_provenance
        from seq2seq.system.atomic_writing import replacing
        from seq2seq.training.fit import TestSettings, ValidationSettings, fit
        from seq2seq.training.loggers import TENSORBOARD, check_loggers
        from seq2seq.training.state_saving import InterruptedRunError
        from seq2seq.training.transfer import freeze

    started = time.perf_counter()
    _quiet()
    check_values(config)
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    check(config)
    check_devices(config.trainer, group)
    makers = TENSORBOARD  # runs of earlier versions have no `logger`
    if "logger" in config:
        check_loggers(config.logger)
        makers = {n: instantiate(one, _partial_=True) for n, one in config.logger.items()}
    task = instantiate(config.task, _convert_="all")
    check_search(config.validation.monitor, task)
    check_model(task, get_class(config.model["_target_"]), list(config.model))
    corpus = instantiate(config.data.corpus)
    remember_corpus(plain(config.data, "corpus")["corpus"])
    init = {**NOTHING_TAKEN, **config.get("init", {})}  # runs of earlier versions have no `init`
    trained = None
    with group.first_on_each_machine():
        if init["checkpoint"] is not None and config.resume is None:
            trained = load_checkpoint(init["checkpoint"])
        data, loader = _data(config, task, corpus, folder, group, trained)
    arguments = task.model_arguments(data.subwords)
    model = instantiate(config.model, **arguments, _convert_="all")
    trainable = freeze(model, frozen := list(init["freeze"]))
    if config.resume is None:
        if group.leads:
            data.subwords.save(folder)
        if trained is None:
            task.initialize(model, data.subwords, cache=config.data.cache)
        else:
            _take(config, task, model, trained, data)
    check_lengths(model.max_length, plain(config.data, "limits")["limits"])
    resolved = plain(config)
    resolved["model"].update(arguments)
    if group.leads:
        with replacing(folder / "config.yaml", lasting=True) as draft:
            draft.write_text(yaml.safe_dump(resolved, sort_keys=False), encoding="utf-8")
        write_provenance(folder, corpus, data)
    parameters = sum(p.numel() for p in model.parameters())
    log.info("%s parameters; run folder %s", f"{parameters:,}", _shown(folder))
    if frozen:
        log.info("%s are trainable; frozen: %s", f"{trainable:,}", ", ".join(frozen))
    again = _again(folder, group, changes)
    annealing = config.get("annealing")  # runs of earlier versions have no `annealing`
    try:
        best, evaluation = fit(
            _module(config, task, model, data.subwords, folder),
            data,
            loader,
            instantiate(
                config.trainer,
                _partial_=True,
                devices=group.local_size,
                num_nodes=group.size // group.local_size,
            ),
            folder=folder,
            config=resolved,
            validation=ValidationSettings(**instantiate(config.validation, _convert_="all")),
            test=TestSettings(**instantiate(config.test, _convert_="all")),
            annealing=instantiate(annealing, _convert_="all") if annealing else None,
            logger_makers=makers,
            resume=config.resume is not None,
            again=again,
            group=group,
        )
    except InterruptedRunError as stop:
        raise SystemExit(_stopped(str(stop), stop.signal_number, folder, again)) from None
    except Interruption as stop:  # before the first step of training, or in the final test
        raise SystemExit(_stopped(stop.name, stop.number, folder, again)) from None
    if not group.leads:
        return None
    if evaluation is not None:
        Console().print(
            metrics_table(evaluation.metrics, title=f"{config.test.split} split, best checkpoint")
        )
    use = f"{task.use} checkpoint={_quoted(folder)}{trusting(resolved)}"
    attention = str(config.get("attention", {}).get("_target_", "")).rpartition(".")[2].lower()
    _say_how_to_go_on(use, corpus, attention, folder, time.perf_counter() - started)
    return best


def _data(
    config: DictConfig,
    task: Task,
    corpus: Corpus,
    folder: Path,
    group: Group,
    trained: Checkpoint | None,
) -> tuple[ParallelData, TrainLoader]:
    """Prepare the corpus with its vocabularies; return it with the batches of this process."""
    settings = ("subwords", "filters", "limits", "processes", "validation_share", "cache")
    prepared = plain(config.data, *settings)
    if config.resume is not None:
        prepared["subwords"] |= own_vocabularies(folder)
    elif trained is not None:
        own = own_vocabularies(trained.folder)
        prepared["subwords"] |= {**own, "extend": config.init.extend_vocabulary}
    needed = ["validation", *([] if config.test.split is None else [config.test.split])]
    data = task.prepare(corpus, needed=needed, **prepared)
    for split in needed:
        data.encoded(split)  # in this block, one process of a machine encodes for all
    loader = data.train_loader(
        seed=config.seed,
        copying=config.model.get("copying", False),
        rank=group.rank,
        world_size=group.size,
        **plain(config.data, "batch")["batch"],
    )
    return data, loader


def _take(
    config: DictConfig, task: Task, model: AttendingModel, trained: Checkpoint, data: ParallelData
) -> None:
    """Load the weights of a trained model, and log which weights are new."""
    from seq2seq.training.transfer import check_new_rows_are_trained, take_weights

    if data.subwords != trained.subwords:  # pretrained vectors are only for new words
        task.initialize(model, data.subwords, cache=config.data.cache)
    taken = take_weights(model, trained.model, trained.subwords, data.subwords)
    check_new_rows_are_trained(model, taken, config.init.freeze)
    log.info("from %s: %s", config.init.checkpoint, taken)


def _module(
    config: DictConfig, task: Task, model: AttendingModel, subwords: VocabularyPair, folder: Path
) -> Seq2SeqModule:
    """Return the training module: model, loss, optimizer and schedule."""
    from hydra.utils import instantiate

    from seq2seq.nn.losses import SequenceLoss
    from seq2seq.training.module import Seq2SeqModule
    from seq2seq.training.nonfinite_updates import NonfiniteGuard

    # Runs of earlier versions do not have these keys.
    survival, compile = config.get("survival", {}), config.get("compile")
    return Seq2SeqModule(
        task,
        model,
        SequenceLoss(**config.loss),
        instantiate(config.optimizer),
        instantiate(config.schedule),
        nonfinite_guard=NonfiniteGuard(folder / "bad_batches", subwords, **survival),
        compile=instantiate(compile, _convert_="all") if compile else None,
        ema_decay=config.get("ema", {}).get("decay"),
    )


def _say_how_to_go_on(
    use: str, corpus: Corpus, attention: str, folder: Path, seconds: float
) -> None:
    """Print the time taken, and the next commands."""
    used = sum(os.times()[:4]) / 60  # by this process and its children, including imports
    print(
        f"\n{seconds / 60:.1f} minutes, {used:.1f} of CPU time. "
        f"Look closer: tensorboard --logdir {shlex.quote(_shown(folder))}"
    )
    print(f"Use it: {use}")
    if getattr(corpus, "next_step", None):
        print(f"Next: {_other_attention(corpus.next_step, attention)}")


def _other_attention(advice: str, attention: str) -> str:
    """Return the advice with another attention mapping than that of the run."""
    match = re.search(r"\battention=(\w+)$", advice)
    if match is None or match[1] != attention:
        return advice
    return f"{advice[: match.start(1)]}{next(name for name in MAPPINGS if name != attention)}"


def check(config: DictConfig) -> None:
    """Check settings that would otherwise fail late, or silently do something else.

    Raises:
        ValueError: naming the keys.
    """
    if "corpus" not in config.data:
        raise ValueError(
            "data=base and data=pairs are only bases of other corpora; choose a corpus"
        )
    if missing := _missing(config.data, "data."):
        raise ValueError(f"this corpus needs {' '.join(f'{key}=…' for key in missing)}")
    if config.model.get("tie_embeddings") == "all" and not config.data.subwords.joint:
        raise ValueError(
            "model.tie_embeddings=all shares the embeddings of both languages; set "
            "data.subwords.joint=true"
        )
    if config.model.get("copying") and not config.data.subwords.joint:
        raise ValueError(
            "model.copying=true copies words of the source to the target; set "
            "data.subwords.joint=true"
        )


def _missing(node: Any, prefix: str) -> list[str]:
    """Return the dotted names of required keys that are not set."""
    missing = []
    for key in map(str, node) if isinstance(node, DictConfig) else ():
        if OmegaConf.is_interpolation(node, key):
            continue
        if OmegaConf.is_missing(node, key):
            missing.append(f"{prefix}{key}")
        else:
            missing += _missing(node[key], f"{prefix}{key}.")
    return missing


def check_search(monitor: str | None, task: Task) -> None:
    """Check that a search for good settings searches, and in the right direction.

    Args:
        monitor: ``validation.monitor``.
        task: the task.

    Raises:
        ValueError: naming the key or option to change.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if not HydraConfig.initialized():  # only the first process reads the command line
        return
    hydra = HydraConfig.get()
    chosen = hydra.runtime.choices.get("tuning")
    if chosen is not None and hydra.mode != RunMode.MULTIRUN:
        raise ValueError(f"tuning={chosen} trains many models: seq2seq-train -m tuning={chosen} …")
    direction = str(hydra.sweeper.get("direction", "")).rpartition(".")[2]
    monitor = monitor or task.monitor
    right = "minimize" if monitor in task.lower_is_better else "maximize"
    if direction in ("minimize", "maximize") and direction != right:
        raise ValueError(
            f"hydra.sweeper.direction={direction} searches for the worst {monitor}; set "
            f"hydra.sweeper.direction={right}"
        )


def check_model(task: Any, model: type, keys: list[str]) -> None:
    """Check that the model can do the task, and that its settings exist.

    Args:
        task: the task.
        model: class of the model.
        keys: keys of the configuration; an experiment may have set them for another model.

    Raises:
        ValueError: naming possible choices, or the wrong keys.
    """
    try:
        task.check_model(model)
    except ValueError as error:
        fitting = " or ".join(f"model={name}" for name in _models_for(task))
        raise ValueError(f"{error}; choose {fitting}") from None
    known = inspect.signature(model).parameters
    if unknown := [key for key in keys if key not in known and not key.startswith("_")]:
        raise ValueError(
            f"{model.__name__} has no {', '.join(f'model.{key}' for key in unknown)}; if an "
            "experiment sets that for another model, keep its model, or remove the setting: "
            f"{' '.join(f'~model.{key}' for key in unknown)}"
        )


def _models_for(task: Any) -> list[str]:
    """Return the names of the model configurations that can do a task."""
    from hydra.utils import get_class

    return [
        name
        for name, target in configured_classes("model").items()
        if issubclass(get_class(target), task.model_type)
    ]


def check_lengths(max_length: int | None, limits: dict[str, int | None]) -> None:
    """Check that the model has positions for the longest training sentences, with bos and eos.

    Raises:
        ValueError: naming the keys.
    """
    if max_length is None:
        return
    for name, limit in limits.items():
        if limit is None or limit + 2 > max_length:
            raise ValueError(
                f"data.limits.{name}={limit} with bos and eos exceeds model.max_length="
                f"{max_length}; lower the first or raise the second"
            )


def _again(folder: Path, group: Group, changes: Sequence[str]) -> str:
    """Return the command that resumes a run, with the changes of this command line."""
    command = "seq2seq-train"
    if group.size > 1:
        launcher = "torchrun …" if "TORCHELASTIC_RUN_ID" in os.environ else "srun … python"
        command = f"{launcher} -m seq2seq.cli.train"
    return " ".join([command, f"resume={_quoted(folder)}", *map(shlex.quote, changes)])


def _stopped(name: str, number: int, folder: Path, again: str) -> int:
    """Log how to continue after a signal, and return the exit code."""
    from seq2seq.training.state_file import RESUME

    if (folder / RESUME).is_file():
        log.warning("stopped by %s; continue with: %s", name, again)
    else:
        log.warning("stopped by %s before anything was saved; start again", name)
    return 128 + number


def _quiet() -> None:
    """Suppress messages of other libraries about themselves."""
    from lightning.pytorch.utilities.warnings import PossibleUserWarning

    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Hints about the arguments of Lightning's classes, which are chosen here.
    warnings.filterwarnings("ignore", category=PossibleUserWarning)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    # A warning about sharded models: nothing here changes their outputs in place.
    warnings.filterwarnings("ignore", message=".*returned a view tensor.*")


def _shown(folder: Path) -> str:
    """Return the folder as the user would type it."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


def _quoted(folder: Path) -> str:
    """Return the folder quoted for Hydra's grammar and for the shell."""
    path = _shown(folder)
    if re.fullmatch(r"[\w./:-]+", path):
        return path
    escaped = path.replace("\\", "\\\\").replace("'", "\\'")
    return shlex.quote(f"'{escaped}'")


def main() -> None:
    """Entry point of ``seq2seq-train``."""
    if not leads():
        follow(train)
        return
    check_arguments(sys.argv[1:])
    folder, others = split_resume(sys.argv[1:])
    if folder is None:
        sys.argv[1:] = spelled_out(sys.argv[1:])
        run(lambda config: lead(train, config, begun), "train")
        return
    try:
        run_configuration(folder)
    except FileNotFoundError as error:
        raise SystemExit(f"error: {error}") from None
    sys.argv[1:] = resume_arguments(folder)
    job = partial(train, changes=others)
    run(lambda _: lead(job, resumed_config(folder, others)), "train")


if __name__ == "__main__":
    main()
