"""A model small enough to enumerate all its translations."""

import itertools

import torch
from torch import Tensor

from seq2seq.mappings import ConstrainedSparsemax, Softmax, Sparsemax
from seq2seq.models import EncoderDecoder, Recurrent, Transformer
from seq2seq.search.distribution import log_probabilities

VOCABULARY = 7  # pad, unk, bos, eos and three words
BUILDERS = {
    "recurrent": lambda: Recurrent(
        12, VOCABULARY, mapping=Sparsemax(), embedding_size=8, hidden_size=8
    ),
    "fertility": lambda: Recurrent(
        12,
        VOCABULARY,
        mapping=ConstrainedSparsemax(fertility=0.7),
        embedding_size=8,
        hidden_size=8,
    ),
    "transformer": lambda: Transformer(
        12, VOCABULARY, cross_mapping=Softmax(), size=8, feedforward_size=8, heads=2, max_length=40
    ),
    "sparse output": lambda: Recurrent(
        12,
        VOCABULARY,
        mapping=Softmax(),
        output_mapping=Sparsemax(),
        embedding_size=8,
        hidden_size=8,
    ),
}


def all_translations(
    model: EncoderDecoder, source: Tensor, length: int, max_length: int
) -> dict[tuple[int, ...], float]:
    """Return the log-probability of every translation of a sentence, scored in one pass each."""
    words = [1, 4, 5, 6]
    found = {}
    for size in range(max_length + 1):
        rows = list(itertools.product(words, repeat=size))
        tokens = torch.tensor(rows, dtype=torch.long).view(len(rows), size)
        count = tokens.size(0)
        inputs = torch.cat([torch.full((count, 1), 2), tokens], dim=1)
        labels = torch.cat([tokens, torch.full((count, 1), 3)], dim=1)
        with torch.no_grad():
            logits = model(
                source[None, :length].expand(count, -1), torch.full((count,), length), inputs
            ).logits
        scores = log_probabilities(logits, model.output_mapping, torch.tensor([0, 2]))
        totals = scores.gather(-1, labels[..., None]).squeeze(-1).sum(-1)
        found |= {
            tuple(row): total for row, total in zip(tokens.tolist(), totals.tolist(), strict=True)
        }
    return found


def log_probabilities_of(
    model: EncoderDecoder, source: Tensor, length: int, tokens: tuple[int, ...]
) -> list[float]:
    """Of each token of one translation and of its end, by one pass."""
    with torch.no_grad():
        logits = model(
            source[None, :length], torch.tensor([length]), torch.tensor([[2, *tokens]])
        ).logits
    scores = log_probabilities(logits, model.output_mapping, torch.tensor([0, 2]))
    return scores[0].gather(-1, torch.tensor([*tokens, 3])[:, None]).squeeze(-1).tolist()
