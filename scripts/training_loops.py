"""What races in `bench_training.py`: models of one size, the plain loop, the batches.

`bench_attention.py` and `bench_search.py` take their models from here too.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from plain_models import PlainInputFeeding, PlainRecurrent, PlainTransformer
from torch import Tensor, nn

from seq2seq.cli.application import config_folder
from seq2seq.data.batch import PAD_ID, Batch
from seq2seq.data.parallel import ParallelData, prepare
from seq2seq.nn.losses import SequenceLoss

SIZE = "embedding_size=512 hidden_size=512 encoder_layers=2 decoder_layers=2"
LIKE_PLAIN = "bridge=copy tie_embeddings=none"
RECURRENT = ["model=recurrent", *(f"model.{key}" for key in f"{SIZE} {LIKE_PLAIN}".split())]
MODELS: dict[str, tuple[type[nn.Module], list[str]]] = {
    "feeding": (PlainInputFeeding, [*RECURRENT, "model.input_feeding=true"]),
    "recurrent": (PlainRecurrent, [*RECURRENT, "model.input_feeding=false"]),
    "transformer": (PlainTransformer, ["model=transformer"]),
}

# A model of a few updates says any number of tokens; one that can translate, about the source's.
LENGTHS = [
    "validation.search.min_length_ratio=1",
    "validation.search.max_length_ratio=1",
    "validation.search.max_length_offset=0",
]


def plain_loss(model: Any, loss: SequenceLoss, batch: Batch) -> Tensor:
    logits = model(batch.source, batch.source_lengths, batch.target_input)
    return mean_cross_entropy(logits, loss, batch)


def mean_cross_entropy(logits: Tensor, loss: SequenceLoss, batch: Batch) -> Tensor:
    return F.cross_entropy(
        logits.flatten(0, 1),
        batch.target_output.flatten(),
        ignore_index=PAD_ID,
        label_smoothing=loss.label_smoothing,
    )


def our_loss(model: Any, loss: SequenceLoss, batch: Batch) -> Tensor:
    output = model(batch.source, batch.source_lengths, batch.target_input, return_logits=False)
    found = loss(output.logits, batch.target_output, model.output_mapping)
    return found.loss_sum / found.tokens


class Loop:
    """A plain training loop: forward, loss, backward, clip, Adam."""

    def __init__(self, model: nn.Module, loss: Callable[[Batch], Tensor], lr: float, half: bool):
        self.model, self.loss, self.half = model.train(), loss, half
        self.optimizer = torch.optim.Adam(model.parameters(), lr, betas=(0.9, 0.98), eps=1e-9)

    def turn(self, batches: Sequence[Batch]) -> float:
        """Train on the batches; the seconds that it took."""
        started = time.perf_counter()
        for batch in batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
                loss = self.loss(batch)
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
        return time.perf_counter() - started


def configuration(model: str, attention: str, args: argparse.Namespace) -> DictConfig:
    """Return the configuration of `seq2seq-train`, of the size and length of the benchmark."""
    overrides = [
        f"data={args.data}",
        *MODELS[model][1],
        f"attention={attention}",
        f"data.batch.tokens={args.batch_tokens}",
        f"trainer.precision={'bf16-mixed' if args.precision == 'bf16' else '32-true'}",
        "trainer.accelerator=cpu",
        "validation.sentences=1",
        "validation.heat_maps=0",
        "validation.average=false",
        *LENGTHS,
        "test.split=null",
        *args.overrides,
    ]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", overrides)
    if args.root:
        config.data.root = args.root
    return config


def sizes(data: ParallelData) -> dict[str, int]:
    """Arguments of the models' classes."""
    return {
        "source_vocabulary_size": data.subwords.source.size,
        "target_vocabulary_size": data.subwords.target.size,
    }


def first_batches(data: ParallelData, config: DictConfig, number: int) -> list[Batch]:
    """Those that the run will see."""
    loader = data.train_loader(seed=config.seed, **config.data.batch)
    epochs = (iter(loader) for _ in itertools.count())
    return list(itertools.islice(itertools.chain.from_iterable(epochs), number))


def arguments(document: str, **defaults: Any) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=document.split("\n\n")[0])
    add = parser.add_argument
    add("--data", default="toy", help="a corpus of configs/data (%(default)s)")
    add("--root", help="folder of the corpus, as data.root")
    add("--models", default=",".join(MODELS), help="some of %(default)s")
    add("--attention", default="softmax", help="mappings of configs/attention (%(default)s)")
    add("--batch-tokens", type=int, default=4096, help="slots of a batch (%(default)s)")
    add("--steps", type=int, default=5, help="batches of a turn (%(default)s)")
    add("--turns", type=int, default=7, help="turns that count (%(default)s)")
    add("--threads", type=int, default=2, help="of PyTorch (%(default)s)")
    add("--precision", choices=("32", "bf16"), default="32", help="(%(default)s)")
    add("--sentences", type=int, help="those of the validation that is timed; 0: none (all)")
    add("--json", type=Path, help="file for every figure")
    add("overrides", nargs="*", help="further overrides of seq2seq-train: data.subwords.size=8000")
    parser.set_defaults(**defaults)
    args = parser.parse_intermixed_args()
    args.models, args.attention = args.models.split(","), args.attention.split(",")
    if unknown := set(args.models) - set(MODELS):
        parser.error(f"--models: {', '.join(unknown)} is none of {', '.join(MODELS)}")
    return args


def prepared(args: argparse.Namespace) -> ParallelData:
    torch.set_num_threads(args.threads)
    datasets.disable_progress_bars()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*(enable_nested_tensor|LeafSpec).*")
    config = configuration(args.models[0], args.attention[0], args)
    given: Any = OmegaConf.to_container(config.data, resolve=True)
    settings = {key: given[key] for key in ("subwords", "filters", "limits", "cache")}
    return prepare(instantiate(config.data.corpus), **settings)
