"""The model card of a checkpoint: its model, scores, data, training and use.

The card is written from the checkpoint directory, and from its run folder if there is one. It says
"unknown" for missing facts. Its head is YAML for the Hugging Face hub.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from huggingface_hub import EvalResult, ModelCardData

from seq2seq import __version__
from seq2seq.checkpoint import Checkpoint
from seq2seq.evaluation.markdown import code, escaped, table
from seq2seq.evaluation.report import read_metrics
from seq2seq.mappings import Mapping as Plug
from seq2seq.publishing.provenance import read_provenance
from seq2seq.tasks.task import Task

#: Statistics of attention in the card.
STATISTICS = ("support_size", "zero_share", "entropy", "top_mass", "coverage_deviation")
PAPER = """\
@inproceedings{niculae2017regularized,
  title     = {A Regularized Framework for Sparse and Structured Neural Attention},
  author    = {Niculae, Vlad and Blondel, Mathieu},
  booktitle = {Advances in Neural Information Processing Systems 30},
  year      = {2017}
}"""


def model_card(
    checkpoint: Checkpoint,
    place: str,
    *,
    name: str | None = None,
    license: str | None = None,
) -> str:
    """Return the text of ``README.md``.

    Args:
        checkpoint: the loaded checkpoint.
        place: value of ``checkpoint=`` for users of the published model.
        name: name of the model; None: the last part of the place.
        license: the hub's name of the weights' license (``mit``, ``cc-by-4.0``); None: unknown.
    """
    metrics = read_metrics(checkpoint.folder / "metrics.json")
    known = read_provenance(checkpoint.folder)
    name = name or place.rstrip("/").rpartition("/")[2].partition("@")[0] or "model"
    license = license or _stated_license(checkpoint.config)
    head = _head(checkpoint, metrics, known, name, license)
    sections = [
        [f"# {escaped(name)}", "", *_what(checkpoint)],
        ["## Scores", "", *_scores(metrics)],
        ["## Attention", "", *_attention(metrics)],
        ["## Data", "", *_data(checkpoint.config, known, license)],
        ["## Training", "", *_training(known)],
        ["## Use", "", *_use(checkpoint.task, place)],
        ["## Limitations", "", *_limitations(checkpoint, metrics)],
        ["## Citation", "", *code(PAPER, "bibtex")],
    ]
    body = "\n\n".join("\n".join(lines) for lines in sections)
    return f"---\n{head.to_yaml().strip()}\n---\n\n{body}\n"


def _head(
    checkpoint: Checkpoint,
    metrics: Mapping[str, Any],
    known: Mapping[str, Any],
    name: str,
    license: str | None,
) -> ModelCardData:
    """Return the YAML for the hub; languages that are not codes are omitted."""
    pipeline = checkpoint.task.pipeline
    corpus = _corpus(checkpoint.config)
    results = [
        EvalResult(
            task_type=pipeline or "other",
            dataset_type=corpus.lower(),
            dataset_name=corpus,
            dataset_split=split,
            metric_type=measure.lower(),
            metric_name=measure,
            metric_value=value,
            metric_args={"signature": signature} if signature else None,
        )
        for split, measure, value, signature in _scored(metrics)
        if value is not None
    ]
    languages = [code for code in known.get("languages", []) if re.fullmatch("[a-z]{2,3}", code)]
    return ModelCardData(
        language=sorted(set(languages)) or None,
        license=license,
        library_name="seq2seq",
        pipeline_tag=pipeline,
        tags=["seq2seq", "sparse-attention", *_names(checkpoint)],
        model_name=name,
        eval_results=results or None,
    )


def _what(checkpoint: Checkpoint) -> list[str]:
    model = checkpoint.model
    parameters = sum(parameter.numel() for parameter in model.parameters())
    rows = [
        ("task", type(checkpoint.task).__name__),
        ("model", type(model).__name__),
        ("parameters", f"{parameters:,}"),
    ]
    for kind, mappings in model.attention_mappings().items():
        plugs = dict.fromkeys(f"{type(plug).__name__}({_plain(plug)})" for plug in mappings)
        rows.append((f"mapping, {kind} attention", "; ".join(plugs)))
    rows.append(("mapping, output layer", type(model.output_mapping).__name__))
    sides = checkpoint.subwords
    apart = f"{sides.source.size:,} of the source, {sides.target.size:,} of the target"
    rows.append(("vocabulary", f"{sides.source.size:,}, joint" if sides.joint else apart))
    settings = _scalars(checkpoint.config["model"])
    rows.append(("settings", ", ".join(f"{key}={value}" for key, value in settings.items())))
    return [
        "A model of the package `seq2seq`, which trains models with pluggable attention mappings.",
        "",
        *table(("", ""), rows),
    ]


def _scores(metrics: Mapping[str, Any]) -> list[str]:
    rows = [
        (split, measure, "–" if value is None else f"{value:.2f}", signature)
        for split, measure, value, signature in _scored(metrics)
    ]
    if not rows:
        return ["Unknown: the checkpoint has no scores."]
    lines = table(("split", "score", "value", "signature"), rows)
    for split, part in metrics.items():
        if isinstance(part, Mapping) and isinstance(part.get("examples"), int):
            corpus = escaped(str(part.get("corpus", "unknown")))
            lines += ["", f"Examples of {escaped(split)}: {part['examples']:,}, of {corpus}."]
        search = part.get("search") if isinstance(part, Mapping) else None
        if isinstance(search, Mapping):
            kind = str(search.get("_target_", "")).rpartition(".")[2]
            shown = ", ".join(f"{key}={value}" for key, value in _scalars(search).items())
            lines += ["", f"Search of {escaped(split)}: {escaped(kind)}, {escaped(shown)}."]
    return lines


def _scored(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str, float | None, str]]:
    """Yield split, name, value and signature of every score."""
    for split, part in metrics.items():
        for measure, entry in part.items() if isinstance(part, Mapping) else ():
            if isinstance(entry, Mapping) and "score" in entry:
                value = entry["score"]
                value = float(value) if isinstance(value, int | float) else None
                yield split, measure, value, str(entry.get("signature", ""))


def _attention(metrics: Mapping[str, Any]) -> list[str]:
    rows = []
    for split, part in metrics.items():
        for section in ("attention", "alignment"):
            statistics = part.get(section) if isinstance(part, Mapping) else None
            overall = statistics.get("overall") if isinstance(statistics, Mapping) else None
            for key, value in overall.items() if isinstance(overall, Mapping) else ():
                if isinstance(value, float) and (section == "alignment" or key in STATISTICS):
                    rows.append((split, key.replace("_", " "), f"{value:.4g}"))
    return table(("split", "statistic", "mean"), rows) if rows else ["Unknown: not measured."]


def _data(config: Mapping[str, Any], known: Mapping[str, Any], license: str | None) -> list[str]:
    data = config.get("data")
    data = data if isinstance(data, Mapping) else {}
    corpus = data.get("corpus")
    settings = _scalars(corpus) if isinstance(corpus, Mapping) else {}
    filters, limits = (_set(data.get(part)) for part in ("filters", "limits"))
    if set(filters) <= {"unit"}:
        filters = {}
    rows = [
        ("corpus", _corpus(config)),
        ("its settings", _listed(settings) or "none"),
        ("languages", " → ".join(known.get("languages", [])) or "unknown"),
        ("examples", _listed(known.get("examples", {})) or "unknown"),
        ("cleaning of training pairs", _listed(filters) or "none"),
        ("limits of training pairs", _listed(limits) or "none"),
        ("license of the weights", license or "unknown: nobody stated it"),
        ("license of the data", "unknown to this card: see the corpus"),
    ]
    return table(("", ""), rows)


def _set(settings: Any) -> dict[str, Any]:
    """Return the settings that are in force: not null, 0 or false."""
    return {k: v for k, v in settings.items() if v} if isinstance(settings, Mapping) else {}


def _training(known: Mapping[str, Any]) -> list[str]:
    if "command" in known:
        lines = code(known["command"], "bash")
    else:
        lines = ["The command is unknown: the checkpoint was published without its run folder."]
    rows = [
        ("seq2seq", known.get("seq2seq", f"unknown; published with {__version__}")),
        ("torch", known.get("torch", f"unknown; published with {torch.__version__}")),
        ("device", known.get("device", "unknown")),
        ("updates", known.get("updates", "unknown")),
        ("epochs", known.get("epochs", "unknown")),
    ]
    lines += ["", *table(("", ""), rows)]
    return [*lines, "", "`config.yaml` has every setting."]


def _use(task: Task, place: str) -> list[str]:
    quoted = place if re.fullmatch(r"[\w./:@-]+", place) else "FOLDER"
    return ["With the package installed:", "", *_commands(task, quoted)]


def _commands(task: Task, place: str) -> list[str]:
    return code(
        f"{task.use} checkpoint={place}\n"
        f"seq2seq-evaluate checkpoint={place} output=scores\n"
        f"seq2seq-export checkpoint={place} format=onnx output=exported",
        "bash",
    )


def _limitations(checkpoint: Checkpoint, metrics: Mapping[str, Any]) -> list[str]:
    lines = [
        "- It was trained only on the corpus above; its quality on other texts is unknown.",
        "- It may repeat biases of its data, which have not been examined.",
        "- Attention weights show what the model read, not why it decided.",
    ]
    if checkpoint.model.max_length is not None:
        lines.append(f"- It reads and writes at most {checkpoint.model.max_length:,} subwords.")
    if not any(True for _ in _scored(metrics)):
        lines.append("- Its quality has not been measured.")
    return lines


def _corpus(config: Mapping[str, Any]) -> str:
    """Return the name of the corpus's class, or its name on the hub."""
    data = config.get("data")
    corpus = data.get("corpus") if isinstance(data, Mapping) else None
    if not isinstance(corpus, Mapping):
        return "unknown"
    name = str(corpus.get("_target_", "unknown")).rpartition(".")[2]
    return f"{name} ({corpus['path']})" if name == "Hub" and "path" in corpus else name


def _stated_license(config: Mapping[str, Any]) -> str | None:
    """Return ``data.license`` of the configuration, or None."""
    data = config.get("data")
    stated = data.get("license") if isinstance(data, Mapping) else None
    return stated if isinstance(stated, str) else None


def _names(checkpoint: Checkpoint) -> list[str]:
    """Return the names of the mappings of all attention, without duplicates."""
    mappings = checkpoint.model.attention_mappings().values()
    return list(dict.fromkeys(type(one).__name__.lower() for part in mappings for one in part))


def _plain(mapping: Plug) -> str:
    """Return the parameters of a mapping as numbers, including learned ones."""
    shown = []
    for name in mapping.domains:
        value = getattr(mapping, name)
        if isinstance(value, torch.Tensor):
            numbers = ", ".join(f"{number:.3g}" for number in value.detach().flatten().tolist())
            value = f"{numbers} (learned)" if name in mapping.learned() else numbers
        shown.append(f"{name}={value}")
    return ", ".join(shown)


def _scalars(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return numbers, booleans and words of a configuration, without paths of this machine."""
    return {
        key: value
        for key, value in node.items()
        if isinstance(value, bool | int | float | str)
        and key != "_target_"
        and not (isinstance(value, str) and ("/" in value or "\\" in value))
    }


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:,}"
        if isinstance(value, int) and not isinstance(value, bool)
        else f"{key}={value}"
        for key, value in settings.items()
    )
