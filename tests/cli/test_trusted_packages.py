"""A model and a mapping of a user's package, in training and in every other command."""

from __future__ import annotations

import re
import site
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from commands import SMALL, forked

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

GUIDE = Path(__file__).parents[2] / "docs" / "howto.md"
TINY = [
    *SMALL,
    "trainer.max_steps=4",
    "validation.every_n_steps=4",
    "validation.heat_maps=0",
    "trainer.accelerator=cpu",
    "test.split=null",
    "hydra.run.dir=RUN",
    "model._target_=my_package.Model",
    "attention._target_=my_package.Mine",
]
USES = {
    "translate": ["search=greedy"],
    "evaluate": ["search=greedy", "sentences=2", "output=scores"],
    "explore": ["search=greedy", "sentences=2"],
    "export": ["output=exported"],
    "push": ["to=published"],
}
CLASSIFIER = [
    "task=entailment",
    "data.corpus.train_size=30",
    "data.corpus.validation_size=6",
    "model.embedding_size=4",
    "model.hidden_size=4",
    "data.training.max_steps=1",
    "data.training.validate_every_n_steps=1",
    "validation.heat_maps=0",
    "trainer.accelerator=cpu",
    "test.split=null",
    "hydra.run.dir=CLASSIFIER",
    "attention._target_=my_package.Mine",
]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    (package,) = re.findall(
        r"`my_package\.py` holds\n\n```python\n(.*?)```", GUIDE.read_text(), re.S
    )
    (folder / "my_package.py").write_text(package)
    result = forked("train", *TINY, cwd=folder, before=importable(folder))
    assert result.returncode == 0, result.stderr
    assert "seq2seq-translate checkpoint=RUN trust=[my_package]" in result.stdout
    return folder


def importable(folder: Path) -> Callable[[], None]:
    return partial(site.addsitedir, str(folder))


@pytest.mark.parametrize("command", USES)
def test_every_command_loads_what_the_user_trusts(work: Path, command: str) -> None:
    arguments = ["checkpoint=RUN", *USES[command]]
    refused = forked(command, *arguments, cwd=work, stdin="a dog\n", before=importable(work))
    assert refused.returncode == 1
    assert "If my_package is a package of yours, allow it to run: trust=[my_package]" in (
        refused.stderr
    )
    if command == "export":  # slow for this model: see the classifier below
        return
    result = forked(
        command,
        *arguments,
        "trust=[my_package]",
        cwd=work,
        stdin="a dog\n",
        before=importable(work),
    )
    assert result.returncode == 0, result.stderr


def test_a_classifier_of_a_trusted_package_predicts_and_is_exported(work: Path) -> None:
    trained = forked("train", *CLASSIFIER, cwd=work, before=importable(work))
    assert trained.returncode == 0, trained.stderr
    assert "seq2seq-predict checkpoint=CLASSIFIER trust=[my_package]" in trained.stdout
    for command, own in (("predict", []), ("export", ["output=classifier"])):
        arguments = [command, "checkpoint=CLASSIFIER", *own]
        options = {"cwd": work, "stdin": "A dog runs.\tA dog moves.\n", "before": importable(work)}
        refused = forked(*arguments, **options)
        assert refused.returncode == 1
        assert "allow it to run: trust=[my_package]" in refused.stderr
        result = forked(*arguments, "trust=[my_package]", **options)
        assert result.returncode == 0, result.stderr
    assert (work / "classifier" / "classifier.pt2").is_file()
