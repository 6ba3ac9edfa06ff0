"""Untrusted checkpoints cannot lead to other files, or take more memory than their size."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from seq2seq.checkpoint import CheckpointError, build, load_checkpoint, save_checkpoint
from seq2seq.checkpoint.corpus import own_corpus, remember_corpus
from seq2seq.cli.evaluate import _write_heat_maps
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.data.words import Words
from seq2seq.evaluation.evaluation import AttentionMap

WORDS = Words.of([f"word{n}" for n in range(20)])
SIZES = {"source_vocabulary_size": WORDS.size, "target_vocabulary_size": WORDS.size}
FUSEDMAX = {"_target_": "seq2seq.mappings.Fusedmax", "learn": ["gamma"]}
MODELS: dict[str, dict[str, Any]] = {
    "recurrent": {
        "_target_": "seq2seq.models.recurrent.Recurrent",
        "mapping": FUSEDMAX,
        "embedding_size": 8,
        "hidden_size": 8,
        "tie_embeddings": "all",
        **SIZES,
    },
    "transformer": {
        "_target_": "seq2seq.models.transformer.Transformer",
        "cross_mapping": FUSEDMAX,
        "size": 8,
        "feedforward_size": 8,
        "heads": 2,
        "encoder_layers": 1,
        "decoder_layers": 1,
        **SIZES,
    },
}


def save(folder: Path, name: str, **more: Any) -> Path:
    config = {"model": MODELS[name], **more}
    save_checkpoint(folder, build(config["model"]), VocabularyPair(WORDS, WORDS), config)
    (folder / "model.safetensors.sha256").unlink()  # a stranger could write it anew
    return folder


def rewrite(folder: Path, **model: Any) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["model"].update(model)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("recurrent", {"hidden_size": 10**9, "tie_embeddings": "none"}),
        ("recurrent", {"embedding_size": 10**17, "hidden_size": 10**17}),
        ("recurrent", {"encoder_layers": 10**9}),
        ("recurrent", {"decoder_layers": 10**9}),
        ("transformer", {"feedforward_size": 10**12}),
        ("transformer", {"encoder_layers": 10**9}),
        ("transformer", {"max_length": 10**11}),
        ("transformer", {"positions": "learned", "max_length": 10**12}),
        ("transformer", {"positions": "rotary", "max_length": 10**11}),
    ],
)
def test_sizes_that_the_weights_do_not_have_are_refused_before_memory_is_taken(
    tmp_path: Path, name: str, change: dict[str, Any]
) -> None:
    folder = save(tmp_path / "checkpoint", name)
    assert load_checkpoint(folder).model.state_dict()
    rewrite(folder, **change)
    with pytest.raises(CheckpointError, match=r"config\.yaml"):
        load_checkpoint(folder)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    folder = save(tmp_path / "checkpoint", "recurrent")
    secret = tmp_path / "secret"
    shutil.move(folder / "words.json", secret)
    (folder / "words.json").symlink_to(secret)
    with pytest.raises(CheckpointError, match=r"words\.json is a symbolic link to .*secret"):
        load_checkpoint(folder)


def test_a_run_folder_may_be_a_link_but_its_best_checkpoint_may_not(tmp_path: Path) -> None:
    best = save(tmp_path / "run" / "checkpoints" / "best", "recurrent")
    (tmp_path / "latest").symlink_to(tmp_path / "run")
    assert load_checkpoint(tmp_path / "latest").model
    shutil.move(best, tmp_path / "elsewhere")
    best.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="best is a symbolic link"):
        load_checkpoint(tmp_path / "run")


def test_weights_are_finite_floats_under_a_small_header(tmp_path: Path) -> None:
    folder = save(tmp_path / "checkpoint", "recurrent")
    path = folder / "model.safetensors"
    state = load_file(path)
    (gamma,) = (name for name in state if name.endswith("gamma.free"))
    save_file({**state, gamma: torch.tensor(torch.nan)}, path)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: gamma of .* is not finite"):
        load_checkpoint(folder)
    save_file({**state, gamma: torch.tensor(1)}, path)
    with pytest.raises(CheckpointError, match="numbers of the kind I64"):
        load_checkpoint(folder)
    save_file({**state, "more": torch.ones(3)}, path)
    with pytest.raises(CheckpointError, match="more is nothing that the model has"):
        load_checkpoint(folder)
    header = json.dumps({"__metadata__": {"a": "b" * (17 << 20)}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(CheckpointError, match="names and shapes would take"):
        load_checkpoint(folder)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "checkpoint", "transformer")
    path = folder / "model.safetensors"
    state = load_file(path)
    state["encoder.0.attention.output.weight"][0, 0] = torch.nan
    save_file(state, path)
    with pytest.raises(CheckpointError, match=r"output\.weight has numbers that are not finite"):
        load_checkpoint(folder)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are Linux's")
def test_weights_that_memory_does_not_hold_are_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "checkpoint", "transformer")
    rewrite(folder, feedforward_size=1 << 27)
    with torch.device("meta"):
        model = build({**MODELS["transformer"], "feedforward_size": 1 << 27})
    header, end = {}, 0
    for name, tensor in model.state_dict().items():
        start, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)  # 16 GiB of holes
    script = """
import resource, sys
from seq2seq.checkpoint import CheckpointError, load_checkpoint
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
try:
    load_checkpoint(sys.argv[1])
except CheckpointError as error:
    print(error)
"""
    run = [sys.executable, "-c", script, str(folder)]
    result = subprocess.run(run, capture_output=True, text=True, check=False)
    assert "bytes, which do not fit into memory" in result.stdout, result.stderr


def test_a_drawing_replaces_a_link_and_does_not_follow_it(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "attention.test.1.png"
    victim.write_text("mine")
    link.symlink_to(victim)
    drawn = AttentionMap(["a"], ["b"], [0], [0], torch.ones(1, 1, 1, 1))
    _write_heat_maps([drawn], tmp_path, "test")
    assert victim.read_text() == "mine"
    assert link.read_bytes().startswith(b"\x89PNG")
    assert not link.is_symlink()


TEXT = {"_target_": "seq2seq.data.corpora.text.Text", "root": None, "train": None, "test": None}


@pytest.mark.parametrize(
    "corpus",
    [
        {**TEXT, "root": "/etc", "test": {"source": "passwd", "target": "group"}},
        {**TEXT, "test": {"source": ["secret.txt"], "target": "secret.txt"}},
        {**TEXT, "root": "data/../..", "test": "secret.tsv"},
        {**TEXT, "root": "data", "test": "../secret.tsv"},
        {**TEXT, "test": "~/secret.tsv"},
        {"_target_": "seq2seq.data.corpora.multi30k.Multi30k", "root": "/home/user"},
        {
            "_target_": "seq2seq.data.corpora.mixture.Mixture",
            "corpora": {"a": {"corpus": {**TEXT, "root": "data", "test": "/etc/passwd"}}},
        },
        {"_target_": "seq2seq.data.corpora.toy.Toy", "train_size": 10**12},
    ],
)
def test_an_untrusted_corpus_reads_only_files_that_the_user_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpus: dict[str, Any]
) -> None:
    monkeypatch.setenv("SEQ2SEQ_CACHE", str(tmp_path / "cache"))
    checkpoint = load_checkpoint(save(tmp_path / "a", "recurrent", data={"corpus": corpus}))
    with pytest.raises(ValueError, match="not trained here; choose the corpus yourself"):
        own_corpus(checkpoint, {}).load()
    if "Mixture" not in corpus["_target_"]:  # which needs whole corpora
        remember_corpus({**corpus, "cache_folder": "elsewhere"})
        assert own_corpus(checkpoint, {})


def test_an_untrusted_corpus_may_be_in_data_or_where_the_user_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQ2SEQ_CACHE", str(tmp_path / "cache"))
    corpus = {**TEXT, "root": "data/opus", "test": {"source": "test.de", "target": "test.en"}}
    checkpoint = load_checkpoint(save(tmp_path / "a", "recurrent", data={"corpus": corpus}))
    assert own_corpus(checkpoint, {})
    there = {**corpus, "root": "/somewhere"}
    checkpoint = load_checkpoint(save(tmp_path / "b", "recurrent", data={"corpus": there}))
    with pytest.raises(ValueError, match=r"/somewhere/test\.de is not a file in data/"):
        own_corpus(checkpoint, {}).load()
    assert own_corpus(checkpoint, {"root": "/somewhere"})
