"""Only the user decides which packages a checkpoint may name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from test_strangers_checkpoint import MODELS, rewrite, save

from seq2seq.checkpoint import (
    CheckpointError,
    building,
    load_checkpoint,
    packages_to_trust,
    trust,
)

PACKAGE = """
from subprocess import Popen
from seq2seq.mappings import Sparsemax
class Mine(Sparsemax): pass
def make(): pass
"""


@pytest.fixture(autouse=True)
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_own.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(building, "_trusted", [])
    sys.modules.pop("my_own", None)


def checkpoint(tmp_path: Path, target: str) -> Path:
    folder = save(tmp_path / "checkpoint", "recurrent")
    mapping = {**MODELS["recurrent"]["mapping"], "_target_": target}
    if target == "my_own.Mine":
        mapping = {"_target_": target, "learn": ["gamma"]}
    rewrite(folder, mapping=mapping)
    return folder


def test_a_package_of_the_users_own_is_loaded_once_it_is_trusted(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, "my_own.Mine")
    with pytest.raises(CheckpointError, match=r"If my_own is a package of yours.*trust=\[my_own\]"):
        load_checkpoint(folder)
    assert "my_own" not in sys.modules
    trust(["my_own"])
    assert type(load_checkpoint(folder).model.decoder.attention.mapping).__name__ == "Mine"


def test_a_checkpoint_cannot_trust(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, "my_own.Mine")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, "trust": ["my_own"]}))
    with pytest.raises(CheckpointError, match="my_own"):
        load_checkpoint(folder)


@pytest.mark.parametrize("target", ["my_own.Popen", "my_own.make", "my_own_too.Mine", "os.system"])
def test_a_trusted_package_vouches_for_its_own_classes_alone(tmp_path: Path, target: str) -> None:
    trust(["my_own"])
    with pytest.raises(CheckpointError, match="which a checkpoint may not"):
        load_checkpoint(checkpoint(tmp_path, target))


@pytest.mark.parametrize(
    "name", ["os", "subprocess", "builtins", "os.path", "no such", "", "../x", 3]
)
def test_only_packages_of_the_users_own_are_trusted(name: object) -> None:
    with pytest.raises(ValueError, match="give the name of a package of your own"):
        trust([name])  # type: ignore[list-item]


def test_a_missing_package_is_named() -> None:
    with pytest.raises(ValueError, match=r"trust=not_installed_here cannot be imported"):
        trust(["not_installed_here"])


def test_which_packages_a_configuration_needs() -> None:
    config = {"model": {"_target_": "a.b.C", "x": [{"_target_": "d.E"}]}, "task": {}}
    assert packages_to_trust(config) == ["a", "d"]
    assert packages_to_trust({"model": MODELS["recurrent"]}) == []
