"""Keys added with ``+``: used by the configuration, or an error."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from commands import SMALL, forked
from hydra import compose, initialize_config_dir

from seq2seq.cli.added_keys import check_added
from seq2seq.cli.application import config_folder


def check(*overrides: str, command: str = "train") -> None:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose(command, list(overrides), return_hydra_config=True)
        check_added(config, overrides, config_folder(), partial(compose, command))


@pytest.mark.parametrize(
    "override",
    [
        *("+lr=0.1", "+data.btach=3", "+data.batch.size=3", "+validation.every=3"),
        *(
            "++lr=0.1",
            "++data.batch.size=3",
            "+data.subwords.vocab=3",
            "+init.frezee=[a]",
            "+loss.smoothing=0.1",
        ),
    ],
)
def test_a_key_that_nothing_reads_is_refused(override: str) -> None:
    key = override.lstrip("+").partition("=")[0]
    with pytest.raises(ValueError, match=f"nothing reads {key}; remove it"):
        check(override)


@pytest.mark.parametrize("override", ["+trainer.logger=false", "+trainer.callbacks=[]"])
def test_what_training_sets_itself_is_refused(override: str) -> None:
    with pytest.raises(ValueError, match="seq2seq-train sets trainer"):
        check(override)


@pytest.mark.parametrize(
    "override",
    [
        *("+trainer.deterministic=true", "+data.corpus.tail.share=0.2", "+optimizer.amsgrad=true"),
        *("+model.nonsense=1", "+hydra.job.env_set.A=1", "++seed=3", "seed=2"),
        "+attention@model.something=sparsemax",
    ],
)
def test_what_a_class_reads_or_refuses_itself_passes(override: str) -> None:
    check(override)


def test_changes_of_a_checkpoints_task_pass() -> None:
    check("+task.tokenizer=zh", command="evaluate")


@pytest.mark.e2e
def test_a_command_refuses_it_before_anything_is_built(tmp_path: Path) -> None:
    result = forked("train", *SMALL, "+lr=0.1", "hydra.run.dir=run", cwd=tmp_path)
    assert result.returncode == 1
    assert "error: +lr=0.1: nothing reads lr" in result.stderr
