"""The fast CPU paths of search find the same hypotheses as the plain way."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from enumeration import BUILDERS
from torch import Tensor

import seq2seq.nn.linear
from seq2seq.models import EncoderDecoder
from seq2seq.nn.linear import Packed
from seq2seq.search import Beam, Greedy
from seq2seq.system.torch_internals import HAS_ONEDNN

SEARCHES: dict[str, Callable[[], Any]] = {
    "greedy": Greedy,
    "beam": lambda: Beam(4, n_best=4, early_stopping="never"),
}


@pytest.fixture(params=BUILDERS)
def single(request: pytest.FixtureRequest) -> EncoderDecoder:
    """Build a small model of each kind in single precision."""
    torch.manual_seed(2)
    model = BUILDERS[request.param]().eval()
    torch.nn.init.normal_(model.output.weight, std=1.0)
    return model


@pytest.mark.parametrize("search", SEARCHES)
def test_packed_weights_change_nothing(
    single: EncoderDecoder,
    search: str,
    source: Tensor,
    source_lengths: Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seq2seq.nn.linear, "LARGE", 1)
    uses = []
    get = Packed.get

    def getting(self: Packed, weight: Tensor, rows: int) -> Tensor | None:
        packed = get(self, weight, rows)
        uses.append(packed is not None)
        return packed

    monkeypatch.setattr(Packed, "get", getting)
    fast = SEARCHES[search]()(single, source, source_lengths)
    assert any(uses) or not HAS_ONEDNN
    monkeypatch.setattr(seq2seq.nn.linear, "LARGE", 1 << 60)
    plain = SEARCHES[search]()(single, source, source_lengths)
    for ours, theirs in zip(fast, plain, strict=True):
        assert [h.tokens for h in ours] == [h.tokens for h in theirs]
        found, expected = (torch.tensor([h.score for h in row]) for row in (ours, theirs))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_greedy_takes_the_first_of_equals() -> None:
    step = torch.tensor([[0.0, 2.0, 1.0, 2.0], [-torch.inf] * 4, [3.0, 3.0, 3.0, 3.0]])
    assert Greedy().choose(step, 0, torch.zeros(3)).tolist() == step.argmax(-1).tolist()
