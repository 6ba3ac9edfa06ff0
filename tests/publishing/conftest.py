"""A run folder with a checkpoint, as training writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from seq2seq.checkpoint import build, save_checkpoint
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.evaluation.report import write_metrics

METRICS = {
    "bleu": {"score": 31.4159, "signature": "nrefs:1|case:mixed|tok:13a"},
    "loss": 2.5,
    "attention": {"overall": {"support_size": 3.25, "tokens": 7}},
}


@pytest.fixture
def run_folder(subwords: VocabularyPair, tmp_path: Path) -> Path:
    torch.manual_seed(3)
    model: dict[str, Any] = {
        "_target_": "seq2seq.models.recurrent.Recurrent",
        "mapping": {"_target_": "seq2seq.mappings.Fusedmax", "gamma": 0.5, "lam": 0.2},
        "embedding_size": 8,
        "hidden_size": 8,
        "source_vocabulary_size": subwords.source.size,
        "target_vocabulary_size": subwords.target.size,
    }
    corpus = {"_target_": "seq2seq.data.corpora.text.Text", "root": "/home/someone", "tail": 3}
    data = {"corpus": corpus, "filters": {"unit": "words", "max_ratio": 1.5}, "limits": {}}
    config = {"model": model, "data": data}
    run = tmp_path / "run"
    folder = run / "checkpoints" / "best"
    save_checkpoint(folder, build(model), subwords, config)
    write_metrics(folder / "metrics.json", {"test": METRICS})
    (run / "resume.ckpt").write_text("the state of training")
    (run / ".hydra").mkdir()
    overrides = ["attention=fusedmax", "data.root=/my files", "hydra.run.dir=run"]
    (run / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(overrides))
    return run
