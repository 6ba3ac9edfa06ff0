"""Fine-tune a model of Hugging Face Transformers with an attention mapping, on a corpus of ours.

    pip install transformers accelerate
    python scripts/finetune_transformers.py MODEL attention=fusedmax data=multi30k data.root=DIR \
        data.target_language=fr
    python scripts/finetune_transformers.py MODEL --steps 2000 --attentions cross encoder \
        attention=sparsemax attention.gamma=0.5 data=text data.train=train.tsv …

MODEL is a folder or a name on the hub, of an encoder-decoder with its tokenizer (Marian, BART, T5,
…). The overrides are those of seq2seq-train: they choose the corpus and the mapping. The script
trains with the Trainer of Transformers and saves the model in --output. It writes the scores of the
test split and the statistics of its cross-attention to metrics.json there. `load_with_mapping`
loads the model again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    Trainer,
    TrainingArguments,
    set_seed,
)

from seq2seq.cli.application import config_folder
from seq2seq.evaluation.attention_statistics import AttentionStatistics
from seq2seq.evaluation.scores import translation_scores
from seq2seq.integrations.transformers import KINDS, use_mapping


def main() -> None:
    """Read the command line, train, and evaluate."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model", help="folder or name on the hub")
    parser.add_argument("--output", default="runs/finetuned", help="folder of the trained model")
    parser.add_argument("--attentions", nargs="+", default=["cross"], choices=KINDS)
    parser.add_argument("--absolute", action="store_true", help="γ as in the literature")
    parser.add_argument("--steps", type=int, default=1000, help="number of updates")
    parser.add_argument("--batch", type=int, default=32, help="sentences in a batch")
    parser.add_argument("--lr", type=float, default=5e-5, help="largest learning rate")
    parser.add_argument("--beams", type=int, default=4, help="size of the beam in the evaluation")
    parser.add_argument("--sentences", type=int, help="of the test split, from the first; all")
    parser.add_argument("--seed", type=int, default=1)
    args, overrides = parser.parse_known_args()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", overrides)
    set_seed(args.seed)
    texts = instantiate(config.data.corpus, _convert_="all").load()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForSeq2SeqLM.from_pretrained(args.model)
    mapping = instantiate(config.attention)
    use_mapping(model, mapping, args.attentions, relative=not args.absolute)

    def encoded(rows: Any) -> Any:
        longest = config.data.limits.max_source_length
        return tokenizer(
            rows["source"], text_target=rows["target"], truncation=True, max_length=longest
        )

    columns = texts["train"].column_names
    train = texts["train"].map(encoded, batched=True, remove_columns=columns)
    arguments = TrainingArguments(
        args.output,
        max_steps=args.steps,
        per_device_train_batch_size=args.batch,
        learning_rate=args.lr,
        warmup_steps=args.steps // 10,
        seed=args.seed,
        report_to=[],
        save_strategy="no",
    )
    collator = DataCollatorForSeq2Seq(tokenizer, model=model)
    Trainer(model=model, args=arguments, train_dataset=train, data_collator=collator).train()
    model.save_pretrained(args.output)
    tokenizer.save_pretrained(args.output)
    test = texts["test"].select(
        range(min(args.sentences or len(texts["test"]), len(texts["test"])))
    )
    metrics = evaluate(model.eval(), tokenizer, test["source"], test["target"], args)
    path = Path(args.output, "metrics.json")
    path.write_text(json.dumps({"test": metrics}, indent=1), encoding="utf-8")
    for name in ("bleu", "chrf"):
        print(f"{name} {metrics[name]['score']:.2f}  {metrics[name]['signature']}")
    overall = metrics["attention"]["overall"]
    print(f"support {overall['support_size']:.2f}, zeros {overall['zero_share']:.3f}; {path}")


def evaluate(
    model: Any,
    tokenizer: Any,
    sources: Sequence[str],
    references: Sequence[str],
    args: argparse.Namespace,
) -> dict[str, Any]:
    """Return the scores of the model's translations, and the statistics of its cross-attention.

    The end of the source sentence counts as a source position, as everywhere in this package.
    """
    hypotheses: list[str] = []
    statistics: AttentionStatistics | None = None
    for inputs in _batches(tokenizer, sources, args.batch, model.device):
        with torch.no_grad():
            outputs = model.generate(**inputs, num_beams=args.beams)
            target, written = outputs[:, :-1], outputs[:, 1:] != tokenizer.pad_token_id
            seen = model(**inputs, decoder_input_ids=target, output_attentions=True)
        attention = torch.stack(seen.cross_attentions, dim=1)
        if statistics is None:
            statistics = AttentionStatistics(*attention.shape[1:3])
        statistics.update(attention, inputs["attention_mask"].bool(), written)
        hypotheses += tokenizer.batch_decode(outputs, skip_special_tokens=True)
    scores = translation_scores(hypotheses, [references], ("bleu", "chrf"))
    return {**scores, "attention": statistics.summary() if statistics is not None else None}


def _batches(
    tokenizer: Any, texts: Sequence[str], size: int, device: torch.device
) -> Iterator[dict[str, torch.Tensor]]:
    for start in range(0, len(texts), size):
        batch = tokenizer(
            list(texts[start : start + size]), return_tensors="pt", padding=True, truncation=True
        )
        names = ("input_ids", "attention_mask")
        yield {name: batch[name].to(device) for name in names}


if __name__ == "__main__":
    main()
