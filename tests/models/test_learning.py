"""The models learn a copy task completely, with each mapping."""

import pytest
import torch

from seq2seq.mappings import Fusedmax, Mapping, Oscarmax, Softmax, Sparsemax
from seq2seq.models import EncoderDecoder, Recurrent, Transformer
from seq2seq.nn.losses import SequenceLoss
from seq2seq.search import Greedy


def recurrent(mapping: Mapping, **options: object) -> EncoderDecoder:
    sizes = {"embedding_size": 24, "hidden_size": 32, "dropout": 0.0}
    return Recurrent(12, 12, mapping=mapping, **sizes, **options)


def transformer(mapping: Mapping, **options: object) -> EncoderDecoder:
    sizes = {"size": 32, "feedforward_size": 64, "encoder_layers": 1, "decoder_layers": 1}
    return Transformer(12, 12, cross_mapping=mapping, dropout=0.0, **sizes, **options)


@pytest.mark.parametrize(
    ("build", "mapping", "options"),
    [
        (recurrent, Softmax(), {}),
        (recurrent, Fusedmax(1.0, 0.1), {"input_feeding": False, "cell": "gru"}),
        (recurrent, Oscarmax(1.0, 0.01), {}),
        (transformer, Sparsemax(), {"positions": "rotary"}),
        (transformer, Softmax(), {"output_mapping": Sparsemax()}),
    ],
)
def test_a_copy_task_is_learned_to_the_last_token(
    build: type[EncoderDecoder], mapping: Mapping, options: dict[str, object]
) -> None:
    torch.manual_seed(1)
    words = torch.randint(4, 12, (16, 4))
    source = torch.cat([words, torch.full((16, 1), 3)], dim=1)
    target = torch.cat([torch.full((16, 1), 2), source], dim=1)
    lengths = torch.full((16,), 5)
    model = build(mapping, **options)
    loss = SequenceLoss()
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(120):
        logits = model(source, lengths, target[:, :-1]).logits
        total, _, tokens = loss(logits, target[:, 1:], model.output_mapping)
        optimizer.zero_grad()
        (total / tokens).backward()
        optimizer.step()
    found = Greedy()(model, source, lengths)
    assert [best.tokens for (best,) in found] == words.tolist()
