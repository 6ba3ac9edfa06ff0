"""The model card: known facts, "unknown" for others, and escaped untrusted text."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from seq2seq.checkpoint import load_checkpoint
from seq2seq.evaluation.markdown import code
from seq2seq.publishing.card import model_card


def card(folder: Path, **options: str) -> str:
    return model_card(load_checkpoint(folder), "hub:me/pointer", **options)


def test_the_card_tells_what_the_run_knows(run_folder: Path) -> None:
    known = {"languages": ["en", "selvan"], "examples": {"train": 29000}, "torch": "2.11"}
    (run_folder / "provenance.json").write_text(json.dumps(known))
    (run_folder / "training.json").write_text(json.dumps({"updates": 77, "device": "cpu"}))
    text = card(run_folder, license="mit")
    for part in (
        "| mapping, cross attention | Fusedmax(lam=0.2, gamma=0.5) |",
        r"| test | bleu | 31.42 | nrefs:1\|case:mixed\|tok:13a |",
        "| test | support size | 3.25 |",
        "| corpus | Text |",
        "| its settings | tail 3 |",
        "| languages | en → selvan |",
        "| examples | train 29,000 |",
        r"| cleaning of training pairs | unit=words, max\_ratio=1.5 |",
        "| updates | 77 |",
        "| torch | 2.11 |",
        "seq2seq-train attention=fusedmax 'data.root=/my files'\n",
        "echo '…' | seq2seq-translate checkpoint=hub:me/pointer\n",
    ):
        assert part in text
    assert "hydra.run.dir" not in text, "where the run lay says nothing of the model"
    assert "/home/someone" not in text


def test_the_hub_reads_scores_license_and_task(run_folder: Path) -> None:
    head = ModelCard(card(run_folder, license="cc-by-4.0")).data
    assert (head.license, head.pipeline_tag, head.library_name) == (
        "cc-by-4.0",
        "translation",
        "seq2seq",
    )
    (result,) = head.eval_results
    assert (result.metric_type, result.metric_value) == ("bleu", 31.4159)
    assert result.dataset_split == "test"
    assert result.metric_args == {"signature": "nrefs:1|case:mixed|tok:13a"}


def test_missing_facts_are_unknown(run_folder: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(run_folder / "checkpoints" / "best", alone)
    (alone / "metrics.json").unlink()
    text = card(alone)
    for part in (
        "Unknown: the checkpoint has no scores.",
        "The command is unknown",
        "| license of the weights | unknown: nobody stated it |",
        "| examples | unknown |",
        "Its quality has not been measured.",
    ):
        assert part in text
    assert ModelCard(text).data.license is None


def test_a_license_that_the_configuration_states_is_taken(run_folder: Path) -> None:
    path = run_folder / "checkpoints" / "best" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["data"]["license"] = "cc0-1.0"
    path.write_text(yaml.safe_dump(config))
    assert ModelCard(card(run_folder)).data.license == "cc0-1.0"


def test_code_of_others_stays_in_its_block(run_folder: Path) -> None:
    lines = code("seq2seq-train ```\n# not a heading\n````")
    assert lines[0] == lines[-1] == "`````"
    overrides = run_folder / ".hydra" / "overrides.yaml"
    overrides.write_text(yaml.safe_dump(["data.root=```\n---\nlicense: mit"]))
    assert ModelCard(card(run_folder)).data.license is None


HOSTILE = {
    "provenance.json": [
        {"languages": 7, "examples": 3, "torch": [1], "seq2seq": None, "command": 5},
        {"languages": [{"a": 1}, "de"], "examples": {"train": {"b": 2}}, "updates": {"c": 3}},
        {"languages": "\x1b[2J", "examples": ["train"], "device": "\x1b]0;title\x07"},
        [],
    ],
    ".hydra/overrides.yaml": [7, {"a": 1}, ["a", {"b": [None]}], ["\x1b[2Jx=1"], True],
    "training.json": ["text", {"updates": "\x9b2J", "epochs": [1]}],
}


@pytest.mark.parametrize(
    ("name", "content"), [(name, content) for name in HOSTILE for content in HOSTILE[name]]
)
def test_a_run_folder_of_anybody_makes_a_card(run_folder: Path, name: str, content: object) -> None:
    (run_folder / name).write_text(json.dumps(content))
    text = card(run_folder)
    yaml.safe_load(text.split("---\n")[1])
    assert "## Training" in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)


@pytest.mark.parametrize("part", ["filters", "limits"])
def test_settings_of_another_type_are_left_out(run_folder: Path, part: str) -> None:
    path = run_folder / "checkpoints" / "best" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["data"][part] = "null"
    path.write_text(yaml.safe_dump(config))
    of = {"filters": "cleaning", "limits": "limits"}[part]
    assert f"| {of} of training pairs | none |" in card(run_folder)
