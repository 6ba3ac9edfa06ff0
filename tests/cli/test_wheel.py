"""An installed wheel works without the checkout, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, "."]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, timeout=300)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of commands of a new environment with the wheel and its dependencies.

    The dependencies are those of the running environment, put on the path as plain folders: the
    editable install of the checkout is not followed from there.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    install = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel]
    subprocess.run([scripts / "python", *install], check=True, capture_output=True, timeout=300)
    find = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    site = subprocess.run(
        [scripts / "python", "-c", find], check=True, capture_output=True, text=True
    ).stdout.strip()
    paths = sysconfig.get_paths()
    dependencies = "\n".join(sorted({paths["purelib"], paths["platlib"]}))
    (Path(site) / "dependencies.pth").write_text(dependencies + "\n")
    return scripts


def test_the_package_index_accepts_the_distribution(wheel: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "build",
        "--sdist",
        "--no-isolation",
        "--outdir",
        tmp_path,
        ".",
    ]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, timeout=300)
    files = [wheel, *tmp_path.iterdir()]
    check = [sys.executable, "-m", "twine", "check", "--strict", *files]
    result = subprocess.run(check, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout
    assert [file.name.startswith("seq2seq_attention-") for file in files] == [True, True]


def test_wheel_holds_every_configuration_file(wheel: Path) -> None:
    inside = {
        name.removeprefix("seq2seq/configs/")
        for name in zipfile.ZipFile(wheel).namelist()
        if name.startswith("seq2seq/configs/")
    }
    configs = REPOSITORY / "configs"
    assert inside == {str(path.relative_to(configs)) for path in configs.rglob("*.yaml")}


def test_wheel_holds_the_parts_of_the_page(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    parts = (REPOSITORY / "seq2seq" / "explore" / "page").iterdir()
    assert {f"seq2seq/explore/page/{path.name}" for path in parts} <= inside


def test_trains_and_translates_from_an_empty_folder(commands: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": ""}
    where = subprocess.run(
        [commands / "python", "-c", "import seq2seq; print(seq2seq.__file__)"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert str(REPOSITORY) not in where, "the checkout would be tested, not the wheel"
    tiny = [
        "data.corpus.train_size=200",
        "data.corpus.validation_size=8",
        "data.corpus.test_size=8",
        "data.subwords.size=400",
        "trainer.max_steps=2",
        "validation.every_n_steps=1",
        "model.hidden_size=16",
        "model.embedding_size=16",
        "hydra.run.dir=run",
    ]
    trained = subprocess.run(
        [commands / "seq2seq-train", *tiny],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert (tmp_path / "run" / "metrics.json").is_file()
    translated = subprocess.run(
        [commands / "seq2seq-translate", "checkpoint=run"],
        cwd=tmp_path,
        env=environment,
        input="one line\n\nanother line\n",
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert translated.returncode == 0, translated.stderr
    lines = translated.stdout.split("\n")
    assert len(lines) == 4, "three lines in, three lines out"
    assert lines[1] == "", "an empty line stays empty"
