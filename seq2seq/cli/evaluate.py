"""``seq2seq-evaluate``: score a checkpoint, or ready-made hypotheses, on a split of a corpus."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig

from seq2seq.cli.application import plain, run
from seq2seq.cli.corpus import chosen_corpus, corpus_name, is_own_corpus, warn_of_languages
from seq2seq.cli.importing import quick_imports
from seq2seq.cli.launch import follow, lead, leads
from seq2seq.cli.trusting import trust_packages

if TYPE_CHECKING:
    from seq2seq.data.batch import Batch
    from seq2seq.evaluation.evaluation import AttentionMap
    from seq2seq.system.processes import Group
    from seq2seq.tasks.generation import Generation


def evaluate(config: DictConfig, folder: Path, group: Group) -> None:
    """Evaluate hypotheses if the configuration names them, else a checkpoint.

    Args:
        config: the composed configuration.
        folder: folder in which the command was started.
        group: processes that share the work for a checkpoint; the first one writes.
    """
    if config.hypotheses is None:
        evaluate_checkpoint(config, group)
    elif group.leads:
        evaluate_hypotheses(config)


def evaluate_checkpoint(config: DictConfig, group: Group) -> None:
    """Evaluate a checkpoint: print a table, write ``metrics.json``, hypotheses and heat maps."""
    with quick_imports():
        import datasets  # noqa: F401 (the corpus needs it)
        from hydra.utils import instantiate
        from rich.console import Console

        from seq2seq.checkpoint import check_files, checkpoint_task, load_checkpoints
        from seq2seq.checkpoint.device import choose_device
        from seq2seq.checkpoint.hub import is_hub
        from seq2seq.evaluation.report import metrics_table, write_metrics, write_outputs
        from seq2seq.evaluation.scored_texts import (
            ScoredTexts,
            check_output,
            own_folders,
            run_of,
        )
        from seq2seq.tasks.task import silent

    if config.references is not None:
        raise ValueError(
            "references=… is only for hypotheses=FILE; a checkpoint's references are in its corpus"
        )
    device = choose_device(config.device, group)
    trust_packages(config)
    checkpoint = load_checkpoints(config.checkpoint, device)
    if not isinstance(config.checkpoint, str) and len(config.checkpoint) > 1 and not config.output:
        raise ValueError("output: an ensemble has no folder of its own; set output=FOLDER")
    if is_hub(config.checkpoint) and not config.output:
        raise ValueError("output: a checkpoint of the hub cannot be written to; set output=FOLDER")
    corpus = chosen_corpus(config.data, checkpoint)
    warn_of_languages(corpus, checkpoint)
    task = checkpoint_task(checkpoint.config, plain(config.task))
    task.check_model(type(checkpoint.model))
    if config.alignments and not task.searches:
        raise ValueError(
            f"alignments=true: {type(task).__name__} has no target to align; remove it"
        )
    aligned: dict[str, Any] = {"alignments": True} if config.alignments else {}
    data = task.open(corpus, checkpoint.subwords, cache=config.data.get("cache"))
    split = config.data.split
    # The name must show that only a part of the split was scored.
    name = split if config.sentences is None else f"{split}-first-{config.sentences}"
    kind = corpus_name(corpus)
    whole = ScoredTexts.of(kind, split, data.split(split))
    scored = ScoredTexts.of(kind, name, data.split(split, config.sentences))
    single = isinstance(config.checkpoint, str) or len(config.checkpoint) == 1
    own = single and whole.belong_to(checkpoint.folder, is_own_corpus(config.data, checkpoint))
    output = checkpoint.folder if own else scored.folder(checkpoint.folder)
    if config.output:
        output = Path(config.output)
    else:  # an untrusted run folder must not lead elsewhere
        check_files(run_of(checkpoint.folder), output)
    check_output(output, name, scored.content, own_folders(checkpoint.folder) if own else ())
    with group.first_on_each_machine():
        data.encoded(split)
    evaluation = task.evaluate(
        checkpoint.model,
        data,
        split,
        search=instantiate(config.search, _convert_="all") if task.searches else None,
        sentences=config.sentences,
        batch_tokens=config.batch_tokens,
        attention=config.statistics,
        device=device,
        progress=_progress if group.leads else silent,
        group=group,
        **aligned,
    )
    if not group.leads:
        return
    output.mkdir(parents=True, exist_ok=True)
    search = {"search": plain(config.search)} if task.searches else {}
    metrics = {**evaluation.metrics, **search, **scored.entry()}
    write_metrics(output / "metrics.json", {name: metrics})
    written = [output / "metrics.json", *write_outputs(output, name, evaluation.outputs)]
    Console().print(metrics_table(evaluation.metrics, title=f"{checkpoint.folder} on {name}"))
    print(f"\nwritten: {', '.join(map(str, written))}")
    if config.heat_maps > 0:
        maps = task.attention_maps(checkpoint.model, data, split, config.heat_maps, device)
        _write_heat_maps(maps, output, split)


def _progress(batches: Iterable[Batch]) -> Iterable[Batch]:
    """Yield the batches, with a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(
        batches, "evaluating", console=console, transient=True, disable=not console.is_terminal
    )


def _write_heat_maps(maps: Iterable[AttentionMap], output: Path, split: str) -> None:
    from seq2seq.evaluation.figures import attention_heat_map
    from seq2seq.system.atomic_writing import replacing

    for number, attention in enumerate(maps, start=1):
        path = output / f"attention.{split}.{number}.png"
        figure = attention_heat_map(attention.weights, attention.source, attention.target)
        with replacing(path) as draft:  # replaces a link instead of writing through it
            figure.savefig(draft, format="png", dpi=150, bbox_inches="tight")
        print(f"written: {path}")


def evaluate_hypotheses(config: DictConfig) -> None:
    """Score a file of hypotheses against files of references, or those of a corpus."""
    from hydra.utils import instantiate
    from rich.console import Console

    from seq2seq.checkpoint import checkpoint_task
    from seq2seq.data.cache import content_key
    from seq2seq.data.corpora.corpus import references
    from seq2seq.evaluation.report import metrics_table, read_texts, write_metrics
    from seq2seq.evaluation.scored_texts import check_output

    if (config.references is None) == ("corpus" not in config.data):
        raise ValueError(
            "hypotheses=FILE needs either references=[FILE,…], or a split of a corpus, such as "
            "data=multi30k data.split=test_2017_flickr; set one of them"
        )
    task = cast("Generation", checkpoint_task({}, plain(config.task)))
    if not task.searches:
        raise ValueError(
            f"{type(task).__name__} writes no text, so it cannot score hypotheses; choose another "
            "task"
        )
    hypotheses = read_texts(config.hypotheses)
    language = ""
    if config.references is not None:
        files = plain(config)["references"]
        name = "references"
        known = [read_texts(path) for path in ([files] if isinstance(files, str) else files)]
    else:
        name = config.data.split
        corpus = instantiate(config.data.corpus)
        splits, language = corpus.load(), corpus.target_language
        if name not in splits:
            raise ValueError(f"data.split={name} does not exist; choose {', '.join(splits)}")
        known = references(splits[name])
    content = content_key(*known)
    if config.output:
        check_output(Path(config.output), name, content)
    task.fit_language(language, known[0])
    metrics = task.scores(hypotheses, known)
    Console().print(metrics_table(metrics, title=f"{config.hypotheses} on {name}"))
    if config.output:
        path = Path(config.output) / "metrics.json"
        write_metrics(path, {name: {**metrics, "texts": content}})
        print(f"\nwritten: {path}")


def without_choices_of_task(arguments: list[str]) -> list[str]:
    """Remove the corpus and the model that ``task=NAME`` chooses for training."""
    groups = {argument.partition("=")[0] for argument in arguments}
    if "task" not in groups:
        return arguments
    # Put them first, because Hydra accepts no overrides after an option such as --cfg.
    return [*(f"~{group}" for group in ("data", "model") if group not in groups), *arguments]


def with_changes_of_task(arguments: list[str]) -> list[str]:
    """Add ``++`` to ``task.NAME=VALUE``, because evaluate.yaml does not list these keys."""
    return [f"++{argument}" if argument.startswith("task.") else argument for argument in arguments]


def main() -> None:
    """Entry point of ``seq2seq-evaluate``."""
    if not leads():
        follow(evaluate)
        return
    sys.argv[1:] = with_changes_of_task(without_choices_of_task(sys.argv[1:]))
    run(lambda config: lead(evaluate, config), "evaluate")


if __name__ == "__main__":
    main()
