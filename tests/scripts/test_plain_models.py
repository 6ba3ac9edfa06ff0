"""The plain models of the benchmark give the same logits as ours, for the same weights."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor, nn

SCRIPTS = Path(__file__).parents[2] / "scripts"
CONFIGS = Path(__file__).parents[2] / "configs"
RECURRENT = [
    "model.embedding_size=6",
    "model.hidden_size=8",
    "model.encoder_layers=2",
    "model.decoder_layers=2",
    "model.bridge=copy",
    "model.tie_embeddings=none",
]
TRANSFORMER = ["model=transformer", "model.size=8", "model.feedforward_size=16", "model.heads=2"]

PLAIN: dict[str, Any] = runpy.run_path(str(SCRIPTS / "plain_models.py"))

# Names of ours → names of the plain models.
RENAMED = [
    (r"^(source|target)_embedding\.", r"\1."),
    (r"^encoder\.network\.", "encoder."),
    (r"^decoder\.network\.", "decoder."),
    (r"^decoder\.attention\.score\.projection\.", "keys."),
    (r"^(encoder|decoder)(?=\.\d)", r"network.\1.layers"),
    (r"^(encoder|decoder)_norm\.", r"network.\1.norm."),
    (r"\.cross_attention\.inputs\.", ".multihead_attn.in_proj_"),
    (r"\.cross_attention\.output\.", ".multihead_attn.out_proj."),
    (r"\.attention\.inputs\.", ".self_attn.in_proj_"),
    (r"\.attention\.output\.", ".self_attn.out_proj."),
    (r"\.feedforward\.inner\.", ".linear1."),
    (r"\.feedforward\.outer\.", ".linear2."),
    (r"\.attention_residual\.norm\.", ".norm1."),
    (r"(encoder.*)\.feedforward_residual\.norm\.", r"\1.norm2."),
    (r"\.cross_residual\.norm\.", ".norm2."),
    (r"(decoder.*)\.feedforward_residual\.norm\.", r"\1.norm3."),
]


def renamed(weights: dict[str, Tensor], cells: bool) -> dict[str, Tensor]:
    found = {}
    for name, value in weights.items():
        for pattern, replacement in RENAMED:
            name = re.sub(pattern, replacement, name)
        if cells and name.startswith("decoder."):
            name = re.sub(r"^decoder\.(.*)_l(\d)$", r"decoder.\2.\1", name)
        found[name] = value
    halves = [found.pop(f"decoder.attention.{part}.weight", None) for part in ("context", "query")]
    if halves[0] is not None:
        found["attentional.weight"] = torch.cat(halves, dim=1)
    return found


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("PlainRecurrent", [*RECURRENT, "model.input_feeding=false"]),
        ("PlainInputFeeding", [*RECURRENT, "model.input_feeding=true"]),
        ("PlainTransformer", TRANSFORMER),
    ],
)
def test_the_same_weights_give_the_same_logits(name: str, overrides: list[str]) -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", overrides).model
    sizes = {"source_vocabulary_size": 19, "target_vocabulary_size": 23}
    torch.manual_seed(0)
    ours = instantiate(config, **sizes, _convert_="all").double().eval()
    for parameter in ours.parameters():
        nn.init.normal_(parameter, std=0.3)
    plain = PLAIN[name](**sizes, model=config).double().eval()
    plain.load_state_dict(renamed(ours.state_dict(), cells=name == "PlainInputFeeding"))
    source = torch.tensor([[4, 5, 6, 7, 3], [8, 9, 3, 0, 0]])
    lengths = torch.tensor([5, 3])
    target = torch.tensor([[2, 4, 5, 6], [2, 7, 8, 9]])
    expected = ours(source, lengths, target).logits
    # Sinusoids are made in float32 by both.
    torch.testing.assert_close(plain(source, lengths, target), expected, atol=1e-6, rtol=0.0)
