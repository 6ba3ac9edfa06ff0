"""Mappings inside models of Transformers: small random ones of each family, no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

transformers = pytest.importorskip("transformers", reason="pip install transformers")

from seq2seq.evaluation.attention_statistics import AttentionStatistics  # noqa: E402
from seq2seq.integrations.transformers import (  # noqa: E402
    NAME,
    attention_modules,
    load_with_mapping,
    use_mapping,
)
from seq2seq.mappings import (  # noqa: E402
    ConstrainedSoftmax,
    Entmax,
    Fusedmax,
    Mapping,
    Oscarmax,
    Softmax,
    Sparsemax,
)

SMALL: dict[str, Any] = {"vocab_size": 40, "pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0}
BART = {
    **SMALL,
    **dict.fromkeys(("encoder_layers", "decoder_layers"), 2),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2),
    **dict.fromkeys(("d_model", "encoder_ffn_dim", "decoder_ffn_dim"), 16),
    **{"max_position_embeddings": 32, "decoder_start_token_id": 2, "forced_eos_token_id": None},
}
T5 = {**SMALL, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2}
ONE = {
    **SMALL,
    **dict.fromkeys(("hidden_size", "intermediate_size"), 16),
    **{"num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 32},
}
SEQ2SEQ = {
    "bart": ("BartForConditionalGeneration", "BartConfig", BART),
    "mbart": ("MBartForConditionalGeneration", "MBartConfig", BART),
    "marian": ("MarianMTModel", "MarianConfig", BART),
    "pegasus": ("PegasusForConditionalGeneration", "PegasusConfig", BART),
    "m2m100": ("M2M100ForConditionalGeneration", "M2M100Config", BART),
    "t5": ("T5ForConditionalGeneration", "T5Config", {**T5, "decoder_start_token_id": 1}),
    "mt5": ("MT5ForConditionalGeneration", "MT5Config", {**T5, "decoder_start_token_id": 1}),
}
OTHERS = {
    "bert": ("BertForMaskedLM", "BertConfig", ONE),
    "llama": ("LlamaForCausalLM", "LlamaConfig", {**ONE, "num_key_value_heads": 1}),
}
SOURCE = torch.tensor([[5, 6, 7, 8, 9, 10, 2], [11, 12, 13, 14, 2, 1, 1]])
MASK = (SOURCE != 1).long()
TARGET = torch.tensor([[2, 5, 6, 7], [2, 8, 9, 10]])


def make(name: str) -> Any:
    kind, config, sizes = {**SEQ2SEQ, **OTHERS}[name]
    torch.manual_seed(1)
    model = getattr(transformers, kind)(getattr(transformers, config)(**sizes)).eval()
    for parameter in model.parameters():  # the initial scores are nearly equal
        parameter.data.mul_(8.0 if parameter.dim() > 1 else 1.0)
    model.set_attn_implementation("eager")
    return model


def run(model: Any, **options: Any) -> Any:
    if model.config.is_encoder_decoder:
        options = {"decoder_input_ids": TARGET, **options}
    return model(input_ids=SOURCE, attention_mask=MASK, output_attentions=True, **options)


@pytest.mark.parametrize("name", [*SEQ2SEQ, *OTHERS])
def test_with_softmax_the_outputs_are_those_of_the_untouched_model(name: str) -> None:
    model = make(name)
    before = run(model)
    kinds = tuple(dict.fromkeys(kind for _, kind, _ in attention_modules(model)))
    expected = {"bert": ("encoder",), "llama": ("decoder",)}.get(name)
    assert set(kinds) == set(expected or ("encoder", "decoder", "cross"))
    after = run(use_mapping(model, Softmax(), kinds))
    there = MASK.bool() if not model.config.is_encoder_decoder else torch.ones(2, 4).bool()
    torch.testing.assert_close(after.logits[there], before.logits[there], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SEQ2SEQ)
@pytest.mark.parametrize(
    "mapping",
    [Sparsemax(0.05), Entmax(1.5, 0.05), Fusedmax(0.05, lam=0.05), Oscarmax(0.05, lam=0.01)],
)
def test_cross_attention_is_the_mapping_of_the_scores(name: str, mapping: Mapping) -> None:
    model = make(name)
    before = run(model)
    output = run(use_mapping(model, mapping))
    assert len(output.cross_attentions) == 2
    weights = output.cross_attentions[0]
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 4), rtol=0, atol=1e-5)
    assert (weights[1, ..., 5:] == 0).all(), "padding"
    assert (weights[..., :5] == 0).any(), "exact zeros"
    torch.testing.assert_close(output.encoder_attentions, before.encoder_attentions)
    dense = before.cross_attentions[0]  # the scores are its logarithm, up to a constant
    expected = mapping.relative()(dense.clamp(min=1e-37).log(), MASK.bool()[:, None, None])
    torch.testing.assert_close(weights, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", [*SEQ2SEQ, "llama"])
def test_generation_with_a_cache_and_beams_is_that_without(name: str) -> None:
    kinds = ("decoder",) if name == "llama" else ("cross", "encoder", "decoder")
    model = use_mapping(make(name), Sparsemax(), kinds)
    options = {"max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False}
    inputs = {"input_ids": SOURCE[:1], "attention_mask": MASK[:1], **options}
    for beams in (1, 3):
        fast = model.generate(**inputs, num_beams=beams, use_cache=True)
        slow = model.generate(**inputs, num_beams=beams, use_cache=False)
        assert fast.tolist() == slow.tolist()


def test_a_causal_self_attention_does_not_see_what_comes() -> None:
    model = use_mapping(make("llama"), Entmax(1.5), ("decoder",))
    weights = run(model).attentions[0]
    assert (weights.triu(1) == 0).all()
    torch.testing.assert_close(weights[0].sum(-1), torch.ones(2, 7), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "size"), [("bart", "1GB"), ("t5", "10KB"), ("bert", "1GB")])
def test_what_is_learned_is_saved_and_loaded(name: str, size: str, tmp_path: Path) -> None:
    kind = "encoder" if name == "bert" else "cross"
    model = use_mapping(make(name), Entmax(1.5, learn=["gamma", "alpha"], per="head"), (kind,))
    if kind == "cross":
        use_mapping(model, Sparsemax(), ("decoder",))
    learned = {n: p for n, p in model.named_parameters() if NAME in n}
    assert len(learned) == 4, "γ and α of two layers"
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    run(model, labels=TARGET if kind == "cross" else SOURCE).loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in learned.values())
    optimizer.step()
    before = run(model.eval()).logits
    model.save_pretrained(tmp_path, max_shard_size=size)
    loaded = load_with_mapping(type(model), tmp_path)
    torch.testing.assert_close(run(loaded.eval()).logits, before, rtol=0, atol=1e-6)
    assert json.loads((tmp_path / "config.json").read_text())[NAME][kind]["class"] == "Entmax"


def test_trainer_trains(tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="pip install accelerate")
    model = use_mapping(make("bart"), Fusedmax(lam=0.05, learn=["gamma"]))
    data = [{"input_ids": SOURCE[0], "labels": TARGET[0]}] * 8
    arguments = transformers.TrainingArguments(
        str(tmp_path), max_steps=4, report_to=[], use_cpu=True, learning_rate=0.01
    )
    before = [p.clone() for n, p in model.named_parameters() if NAME in n]
    transformers.Trainer(model=model, args=arguments, train_dataset=data).train()
    after = [p for n, p in model.named_parameters() if NAME in n]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype: torch.dtype) -> None:
    model = use_mapping(make("bart").to(dtype), Sparsemax())
    weights = run(model).cross_attentions[0]
    assert weights.dtype == dtype
    torch.testing.assert_close(weights.float().sum(-1), torch.ones(2, 2, 4), rtol=0, atol=0.02)


def test_our_statistics_read_its_attention() -> None:
    output = run(use_mapping(make("marian"), Sparsemax()))
    attention = torch.stack(output.cross_attentions, dim=1)  # batch, layer, head, target, source
    statistics = AttentionStatistics(layers=2, heads=2)
    statistics.update(attention, MASK.bool(), torch.ones(2, 4, dtype=torch.bool))
    overall = statistics.summary()["overall"]
    assert 0 < overall["zero_share"] < 1
    assert 1 <= overall["support_size"] < 7


def test_an_absolute_strength_is_the_literatures() -> None:
    model = make("bart")
    use_mapping(model, Sparsemax(), relative=False)
    steep = (run(model).cross_attentions[0] > 0).sum()
    use_mapping(model, Sparsemax())
    assert (run(model).cross_attentions[0] > 0).sum() > steep


@pytest.mark.parametrize(
    ("name", "mapping", "attentions", "message"),
    [
        ("llama", Sparsemax(), ("cross",), "LlamaForCausalLM has no cross attention; it has: dec"),
        ("bart", Sparsemax(), ("self",), "has to be of cross, encoder, decoder"),
        ("bart", ConstrainedSoftmax(0.5), ("cross",), "ConstrainedSoftmax cannot be used here"),
        ("bart", Sparsemax(gamma=torch.tensor(2.0)), ("cross",), "gamma of Sparsemax is a tensor"),
    ],
)
def test_what_cannot_be_done_is_refused(
    name: str, mapping: Mapping, attentions: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        use_mapping(make(name), mapping, attentions)


@pytest.mark.parametrize(
    "settings", [{"class": "nn.Module"}, {"class": "Sparsemax", "x": 1, "relative": True}, "word"]
)
def test_a_configuration_that_names_no_mapping_is_refused(settings: Any, tmp_path: Path) -> None:
    model = make("bart")
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, NAME: {"cross": settings}}))
    with pytest.raises(ValueError, match=r"config\.json"):
        load_with_mapping(type(model), tmp_path)
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="names no mapping"):
        load_with_mapping(type(model), tmp_path)
