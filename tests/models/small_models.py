"""Small models in every shape, in float64."""

import itertools
from collections.abc import Callable

import torch
from torch import nn

from seq2seq.mappings import (
    ConstrainedSoftmax,
    ConstrainedSparsemax,
    Entmax,
    Fusedmax,
    Oscarmax,
    Softmax,
    Sparsemax,
)
from seq2seq.models import EncoderDecoder, Recurrent, Transformer

SOURCE_SIZE, TARGET_SIZE = 29, 23
MAPPINGS = {
    "softmax": Softmax,
    "cold softmax": lambda: Softmax(gamma=0.5),
    "sparsemax": Sparsemax,
    "fusedmax": lambda: Fusedmax(gamma=0.1, lam=0.02),
    "oscarmax": lambda: Oscarmax(gamma=0.1, lam=0.01),
}
LEARNED = {
    "learned fusedmax": lambda: Fusedmax(
        gamma=nn.Parameter(torch.tensor(0.1)), lam=nn.Parameter(torch.tensor(0.01))
    ),
    "fusedmax by name": lambda: Fusedmax(0.1, 0.01, learn=["gamma", "lam"], per="head"),
    "learned entmax": lambda: Entmax(alpha=nn.Parameter(torch.tensor(1.3))),
}
PER_HEAD = {
    "softmax by name per head": lambda: Softmax(learn=["gamma"], per="head"),
    "oscarmax per head": lambda: Oscarmax(
        gamma=0.1, lam=nn.Parameter(torch.tensor([0.002, 0.01])[:, None, None])
    ),
}
STATEFUL = {
    "constrained softmax": lambda: ConstrainedSoftmax(fertility=0.6),
    "constrained sparsemax": lambda: ConstrainedSparsemax(fertility=0.6, gamma=0.5),
    "constrained softmax by name": lambda: ConstrainedSoftmax(
        0.6, learn=["fertility", "gamma"], per="head"
    ),
}


def recurrent(mapping: str = "softmax", **options: object) -> EncoderDecoder:
    torch.manual_seed(0)
    defaults = {
        "embedding_size": 6,
        "hidden_size": 8,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "mapping": (MAPPINGS | LEARNED | STATEFUL)[mapping](),
    }
    source_size = TARGET_SIZE if options.get("copying") else SOURCE_SIZE
    return Recurrent(source_size, TARGET_SIZE, **(defaults | options)).double().eval()


def transformer(mapping: str = "softmax", **options: object) -> EncoderDecoder:
    torch.manual_seed(0)
    defaults = {
        "size": 8,
        "feedforward_size": 16,
        "heads": 2,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "max_length": 32,
    }
    choices = MAPPINGS | LEARNED | PER_HEAD
    kinds = {f"{place}_mapping": choices[mapping]() for place in ("cross", "encoder", "decoder")}
    source_size = TARGET_SIZE if options.get("copying") else SOURCE_SIZE
    model = Transformer(source_size, TARGET_SIZE, **(kinds | defaults | options))
    return model.double().eval()


def _variants() -> dict[str, Callable[[], EncoderDecoder]]:
    found: dict[str, Callable[[], EncoderDecoder]] = {}

    def add(family: Callable[..., EncoderDecoder], **options: object) -> None:
        name = " ".join([family.__name__, *(f"{key}={value}" for key, value in options.items())])
        found[name] = lambda: family(**options)

    for cell, feeding, score in itertools.product(
        ("lstm", "gru"), (True, False), ("dot", "general", "additive")
    ):
        add(recurrent, cell=cell, input_feeding=feeding, score=score)
    for feeding, score in itertools.product((True, False), ("dot", "general", "additive")):
        add(recurrent, coverage=True, input_feeding=feeding, score=score)
    add(recurrent, coverage=True, mapping="constrained sparsemax")
    for mapping in ("softmax", "sparsemax"):
        add(recurrent, copying=True, mapping=mapping)
        add(transformer, copying=True, mapping=mapping)
    add(recurrent, copying=True, coverage=True, input_feeding=False)
    add(recurrent, bidirectional=False, encoder_layers=1, decoder_layers=3)
    add(recurrent, bridge="copy", tie_embeddings="target", embedding_size=8)
    for norm, positions in itertools.product(("pre", "post"), ("sinusoidal", "learned", "rotary")):
        add(transformer, norm=norm, positions=positions)
    add(transformer, activation="gelu", tie_embeddings="none")
    for mapping in [*list(MAPPINGS)[1:], *LEARNED, *PER_HEAD]:
        add(transformer, mapping=mapping)
    for mapping in [*list(MAPPINGS)[1:], *LEARNED, *STATEFUL]:
        add(recurrent, mapping=mapping)
        add(recurrent, mapping=mapping, input_feeding=False)
    for mapping in ("sparsemax", "fusedmax", "oscarmax", "fusedmax by name", "learned entmax"):
        add(recurrent, mapping=mapping, strength="relative", score="dot")
        add(transformer, mapping=mapping, strength="relative")
    add(transformer, mapping="oscarmax per head", strength="relative")
    for score in ("general", "additive"):
        add(recurrent, mapping="constrained sparsemax", strength="relative", score=score)
    add(recurrent, mapping="oscarmax", strength="relative", coverage=True, copying=True)
    return found


VARIANTS = _variants()
