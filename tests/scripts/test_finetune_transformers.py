"""The script that fine-tunes a model of Transformers, with a small random one and its tokenizer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

transformers = pytest.importorskip("transformers", reason="pip install transformers")
pytest.importorskip("accelerate", reason="pip install accelerate")

from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers  # noqa: E402

from seq2seq.data.corpora.toy import Toy  # noqa: E402
from seq2seq.integrations.transformers import load_with_mapping  # noqa: E402

REPOSITORY = Path(__file__).parents[2]
SIZES = ["data.corpus.train_size=60", "data.corpus.validation_size=4", "data.corpus.test_size=6"]


def save_model(folder: Path) -> None:
    """Save a BART with a word vocabulary of the embedded corpus."""
    texts = Toy(train_size=60, validation_size=4, test_size=6).load()["train"]
    words = Tokenizer(models.WordLevel(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    words.train_from_iterator(
        [*texts["source"], *texts["target"]], trainers.WordLevelTrainer(special_tokens=specials)
    )
    words.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 2)]
    )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", bos_token="<s>"
    )
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(folder)
    sizes = dict.fromkeys(("d_model", "encoder_ffn_dim", "decoder_ffn_dim"), 16)
    sizes |= dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2)
    sizes |= dict.fromkeys(("encoder_layers", "decoder_layers"), 1)
    config = transformers.BartConfig(
        vocab_size=words.get_vocab_size(), max_position_embeddings=64, **sizes
    )
    config.forced_eos_token_id = None
    transformers.BartForConditionalGeneration(config).save_pretrained(folder)


@pytest.mark.e2e
@pytest.mark.slow
def test_a_model_is_tuned_scored_and_loaded_again(tmp_path: Path) -> None:
    save_model(tmp_path / "model")
    script = str(REPOSITORY / "scripts" / "finetune_transformers.py")
    options = ["--steps", "3", "--batch", "4", "--beams", "2", "--output", "tuned"]
    overrides = ["attention=sparsemax", "attention.learn=[gamma]", *SIZES]
    result = subprocess.run(
        [sys.executable, script, "model", *options, *overrides],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    metrics = json.loads((tmp_path / "tuned" / "metrics.json").read_text())["test"]
    assert metrics["bleu"]["signature"].startswith("nrefs:1")
    assert metrics["attention"]["overall"]["sentences"] == 6
    assert "support" in result.stdout
    model = load_with_mapping(transformers.AutoModelForSeq2SeqLM, tmp_path / "tuned")
    assert model.config.seq2seq_mapping["cross"]["class"] == "Sparsemax"
    assert any("seq2seq_mapping" in name for name, _ in model.named_parameters())
