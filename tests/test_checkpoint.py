"""Checkpoint directories are complete, can be moved, and cannot run code."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_model

from seq2seq.checkpoint import (
    CheckpointError,
    build,
    load_checkpoint,
    load_checkpoints,
    save_checkpoint,
)
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.data.words import Words
from seq2seq.models.ensemble import Ensemble
from seq2seq.models.recurrent import Recurrent
from seq2seq.system.atomic_writing import mend
from seq2seq.system.errors import DataError

MODEL: dict[str, Any] = {
    "_target_": "seq2seq.models.recurrent.Recurrent",
    "mapping": {"_target_": "seq2seq.mappings.Fusedmax", "gamma": 0.5, "lam": 0.2},
    "embedding_size": 8,
    "hidden_size": 8,
    "tie_embeddings": "target",
}


@pytest.fixture
def saved(subwords: VocabularyPair, tmp_path: Path) -> tuple[Path, Recurrent]:
    sizes = {
        "source_vocabulary_size": subwords.source.size,
        "target_vocabulary_size": subwords.target.size,
    }
    config = {"model": {**MODEL, **sizes}}
    model = build(config["model"])
    return save_checkpoint(tmp_path / "checkpoint", model, subwords, config), model


def rewrite(folder: Path, change: dict[str, Any]) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["model"].update(change)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def test_a_moved_checkpoint_computes_the_same(
    saved: tuple[Path, Recurrent], subwords: VocabularyPair, tmp_path: Path
) -> None:
    folder, model = saved
    shutil.move(folder, tmp_path / "moved")
    checkpoint = load_checkpoint(tmp_path / "moved")
    source = torch.tensor([[*subwords.source.encode("a small sentence"), 3]])
    lengths = torch.tensor([source.shape[1]])
    target = torch.tensor([[2, 5, 6]])
    expected = model.eval()(source, lengths, target, return_attention=True)
    found = checkpoint.model(source, lengths, target, return_attention=True)
    assert torch.equal(found.logits, expected.logits)
    assert torch.equal(found.attention, expected.attention)
    assert checkpoint.subwords.source.encode("small words") == subwords.source.encode("small words")


def test_a_copying_model_with_its_words_computes_the_same(tmp_path: Path) -> None:
    words = Words.of(["a", "small", "sentence"], lowercase=True)
    sizes = {"source_vocabulary_size": words.size, "target_vocabulary_size": words.size}
    options = {"copying": True, "coverage": True, "tie_embeddings": "all"}
    config = {"model": {**MODEL, **options, **sizes}}
    model = build(config["model"]).eval()
    folder = save_checkpoint(tmp_path / "checkpoint", model, VocabularyPair(words, words), config)
    checkpoint = load_checkpoint(folder)
    assert checkpoint.subwords.joint
    assert checkpoint.subwords.source == words
    source = torch.tensor([[4, 7, 5, 8, 3]])
    inputs = source, torch.tensor([5]), torch.tensor([[2, 8, 7]])
    expected, found = model(*inputs).logits, checkpoint.model(*inputs).logits
    assert found.shape == (1, 3, words.size + 2)
    assert torch.equal(found, expected)


def test_a_bad_word_list_is_refused_by_name(tmp_path: Path, saved: tuple[Path, Recurrent]) -> None:
    folder, _ = saved
    (folder / "subwords.model").unlink()
    with pytest.raises(DataError, match=r"no subword model or word vocabulary"):
        load_checkpoint(folder)
    (folder / "words.json").write_text('{"lowercase": false, "words": ["a b"]}')
    with pytest.raises(DataError, match=r"words\.json: word 1 .* is not a word"):
        load_checkpoint(folder)
    Words.of(["a"]).save(folder / "words.json")
    with pytest.raises(CheckpointError, match=r"vocabulary"):
        load_checkpoint(folder)


def test_a_run_folder_means_its_best_checkpoint(
    saved: tuple[Path, Recurrent], tmp_path: Path
) -> None:
    best = tmp_path / "run" / "checkpoints" / "best"
    shutil.copytree(saved[0], best)
    assert load_checkpoint(tmp_path / "run").folder == best


def test_damaged_weights_are_noticed(saved: tuple[Path, Recurrent]) -> None:
    weights = saved[0] / "model.safetensors"
    whole = weights.read_bytes()
    flipped = bytearray(whole)
    flipped[-5] ^= 1
    for damaged in (whole[: len(whole) // 2], bytes(flipped), b""):
        weights.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
            load_checkpoint(saved[0])
    (saved[0] / "model.safetensors.sha256").unlink()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"does not fit"):
        load_checkpoint(saved[0])
    weights.write_bytes(whole)
    assert load_checkpoint(saved[0]).model is not None, "as those of earlier versions are"


def test_a_folder_is_restored_after_an_interrupted_replacement(
    saved: tuple[Path, Recurrent], tmp_path: Path
) -> None:
    checkpoints = tmp_path / "run" / "checkpoints"
    shutil.copytree(saved[0], checkpoints / ".best.12.old")
    shutil.copytree(saved[0], checkpoints / ".best.12.writing")
    shutil.copytree(saved[0], checkpoints / "last")
    shutil.copytree(saved[0], checkpoints / ".last.12.old")
    assert load_checkpoint(tmp_path / "run").folder == checkpoints / ".best.12.old"
    mend(checkpoints)
    assert {path.name for path in checkpoints.iterdir()} == {"best", "last"}
    assert load_checkpoint(tmp_path / "run").folder == checkpoints / "best"


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "torch.load",
        "seq2seq.mappings.mapping.torch.load",
        "seq2seq.models.recurrent.nn.Module",
        "seq2seq.checkpoint.save_checkpoint",
        "seq2seq.data.subwords.Subwords",
        "subprocess.Popen",
        ["os.system"],
    ],
)
def test_targets_outside_the_allow_list_are_refused(
    saved: tuple[Path, Recurrent], target: Any
) -> None:
    rewrite(saved[0], {"mapping": {"_target_": target, "args": ["touch owned"]}})
    with pytest.raises(CheckpointError, match="mapping"):
        load_checkpoint(saved[0])


@pytest.mark.parametrize(
    "change",
    [
        {"pad_id": "${oc.env:HOME}"},
        {"mapping": {"_target_": "seq2seq.mappings.Softmax", "_args_": [1]}},
        {"mapping": {"_target_": "seq2seq.mappings.Softmax", "_partial_": True}},
    ],
)
def test_what_hydra_would_interpret_is_refused(
    saved: tuple[Path, Recurrent], change: dict[str, Any]
) -> None:
    rewrite(saved[0], change)
    with pytest.raises(CheckpointError, match="refused"):
        load_checkpoint(saved[0])


def test_python_objects_in_yaml_are_refused(saved: tuple[Path, Recurrent], tmp_path: Path) -> None:
    owned = tmp_path / "owned"
    text = f"model: !!python/object/apply:os.system ['touch {owned}']\n"
    (saved[0] / "config.yaml").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.yaml"):
        load_checkpoint(saved[0])
    assert not owned.exists()


def test_weights_that_do_not_fit_are_named(saved: tuple[Path, Recurrent]) -> None:
    rewrite(saved[0], {"hidden_size": 16, "tie_embeddings": "none"})
    with pytest.raises(CheckpointError, match=r"model\.safetensors does not fit"):
        load_checkpoint(saved[0])


def test_a_configuration_that_builds_no_model_is_named(saved: tuple[Path, Recurrent]) -> None:
    rewrite(saved[0], {"hidden_size": 16})
    with pytest.raises(CheckpointError, match=r"config\.yaml.*tied embeddings"):
        load_checkpoint(saved[0])


def test_truncated_weights_are_named(saved: tuple[Path, Recurrent]) -> None:
    path = saved[0] / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_checkpoint(saved[0])


def test_a_folder_without_a_checkpoint_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="checkpoints/best"):
        load_checkpoint(tmp_path)


def test_saving_replaces_the_whole_directory(
    saved: tuple[Path, Recurrent], subwords: VocabularyPair
) -> None:
    folder, model = saved
    (folder / "stale.txt").write_text("from the checkpoint before")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    save_checkpoint(folder, model, subwords, config)
    assert not (folder / "stale.txt").exists()
    assert [p.name for p in folder.parent.iterdir()] == [folder.name], "nothing temporary is left"


def learning(learn: list[str]) -> dict[str, Any]:
    return {"mapping": {**MODEL["mapping"], "learn": learn, "per": "head"}}


@pytest.fixture
def learned(subwords: VocabularyPair, tmp_path: Path) -> tuple[Path, Recurrent]:
    sizes = {
        "source_vocabulary_size": subwords.source.size,
        "target_vocabulary_size": subwords.target.size,
    }
    config = {"model": {**MODEL, **sizes, **learning(["gamma", "lam"])}}
    model = build(config["model"])
    for parameter in model.attention_mappings()["cross"][0].parameters():
        torch.nn.init.constant_(parameter, 0.7)
    return save_checkpoint(tmp_path / "learned", model, subwords, config), model


def test_learned_parameters_are_loaded(learned: tuple[Path, Recurrent]) -> None:
    folder, model = learned
    (saved,) = model.attention_mappings()["cross"]
    (found,) = load_checkpoint(folder).model.attention_mappings()["cross"]
    assert set(found.tensors()) == {"gamma", "lam"}
    for name, value in found.tensors().items():
        assert torch.equal(value, saved.tensors()[name])


@pytest.mark.parametrize("learn", [[], ["gamma"]])
def test_learned_parameters_that_the_configuration_lacks_are_refused(
    learned: tuple[Path, Recurrent], learn: list[str]
) -> None:
    rewrite(learned[0], learning(learn))
    with pytest.raises(CheckpointError, match="does not fit"):
        load_checkpoint(learned[0])


def test_an_unknown_parameter_to_learn_is_named(learned: tuple[Path, Recurrent]) -> None:
    rewrite(learned[0], learning(["alpha"]))
    with pytest.raises(CheckpointError, match="Fusedmax can learn gamma, lam"):
        load_checkpoint(learned[0])


def test_a_gamma_of_many_numbers_is_refused(saved: tuple[Path, Recurrent]) -> None:
    folder, model = saved
    (mapping,) = model.attention_mappings()["cross"]
    del mapping.gamma
    mapping.register_buffer("gamma", torch.ones(5))
    (folder / "model.safetensors.sha256").unlink()
    save_model(model, str(folder / "model.safetensors"))
    with pytest.raises(CheckpointError, match="does not fit"):
        load_checkpoint(folder)


def test_an_ensemble_is_of_one_vocabulary(
    saved: tuple[Path, Recurrent], subwords: VocabularyPair, tmp_path: Path
) -> None:
    folder, model = saved
    both = load_checkpoints([folder, str(folder)])
    assert isinstance(both.model, Ensemble)
    assert not both.model.training
    source, lengths = torch.tensor([[5, 6, 3]]), torch.tensor([3])
    target = torch.tensor([[2, 5]])
    expected = model.eval()(source, lengths, target).logits.log_softmax(-1)
    torch.testing.assert_close(both.model(source, lengths, target).logits, expected)
    assert isinstance(load_checkpoints([folder]).model, Recurrent)
    words = Words.of(f"word{n}" for n in range(subwords.source.size - 4))  # as many, but others
    config = load_checkpoint(folder).config
    other = save_checkpoint(tmp_path / "other", model, VocabularyPair(words, words), config)
    with pytest.raises(CheckpointError, match="have different source subwords"):
        load_checkpoints([folder, other])
    with pytest.raises(CheckpointError, match="names no checkpoint"):
        load_checkpoints([])


def test_the_same_weights_make_the_same_file_with_the_mode_of_the_umask(tmp_path: Path) -> None:
    script = """
import os, sys
sys.path.insert(0, os.path.dirname(sys.argv[2]))
import torch
from test_strangers_checkpoint import save
os.umask(0o027)
torch.manual_seed(1)
save(__import__("pathlib").Path(sys.argv[1]), "recurrent")
"""
    files = []
    for name in ("a", "b", "c"):
        run = [sys.executable, "-c", script, str(tmp_path / name), __file__]
        subprocess.run(run, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        path = tmp_path / name / "model.safetensors"
        files.append(path.read_bytes())
        assert stat.filemode(path.stat().st_mode) == "-rw-r-----"
    assert len(set(files)) == 1
