"""The plain beam search of the benchmark finds the same hypotheses as ours."""

from __future__ import annotations

import sys

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from test_plain_models import CONFIGS, RECURRENT, SCRIPTS, renamed

from seq2seq.search import Beam


def test_the_plain_loop_finds_what_our_beam_finds() -> None:
    sys.path.insert(0, str(SCRIPTS))
    from plain_models import PlainRecurrent
    from plain_search import beam_search

    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", [*RECURRENT, "model.input_feeding=false"]).model
    sizes = {"source_vocabulary_size": 19, "target_vocabulary_size": 23}
    torch.manual_seed(0)
    ours = instantiate(config, **sizes, _convert_="all").double().eval()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    plain = PlainRecurrent(**sizes, model=config).double().eval()
    plain.load_state_dict(renamed(ours.state_dict(), cells=False))
    source = torch.tensor([[4, 5, 6, 7, 3], [8, 9, 3, 0, 0], [10, 11, 12, 3, 0]])
    lengths = torch.tensor([5, 3, 4])
    found = Beam(4, min_length=5, max_length=5)(ours, source, lengths)
    expected = beam_search(plain, source, lengths, beam=4, steps=6)
    assert [[*row[0].tokens, 3] for row in found] == expected.tolist()
