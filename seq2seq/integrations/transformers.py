"""Attention mappings inside models of Hugging Face Transformers.

:func:`use_mapping` sets a mapping for the cross-attention, or the self-attention of encoder or
decoder, of a model whose attention goes through Transformers' attention interface: BART, mBART,
Marian, Pegasus, M2M100, T5, BERT, Llama and most others of version 5. Training, ``generate``,
``Trainer``, caches, masks and returned attention work as before.

::

    model = AutoModelForSeq2SeqLM.from_pretrained("…")
    use_mapping(model, Fusedmax(lam=0.05))
    …                                    # train, generate
    model.save_pretrained("tuned")
    model = load_with_mapping(AutoModelForSeq2SeqLM, "tuned")
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask
from transformers.utils import cached_file

import seq2seq.mappings
from seq2seq.mappings import Mapping

Model = TypeVar("Model", bound=PreTrainedModel)

NAME = "seq2seq_mapping"
#: Names of attention modules over the output of an encoder, in the models of Transformers.
CROSS = re.compile(r"(encoder_attn|EncDecAttention|crossattention|cross_attn)")
KINDS = ("cross", "encoder", "decoder")
#: Options of an attention function that change the scores in ways that are not implemented here.
REFUSED = ("softcap", "s_aux")
#: The classes that a configuration may name.
CLASSES = ("Entmax", "Fusedmax", "Normmax", "Oscarmax", "Softmax", "Sparsemax", "Sqpnormmax")


def use_mapping(
    model: Model,
    mapping: Mapping,
    attentions: Sequence[str] = ("cross",),
    *,
    relative: bool = True,
) -> Model:
    """Compute the weights of some attentions of a model by a mapping; the others stay softmax.

    The model is changed in place. Its configuration remembers the mapping as plain values. Learned
    parameters of the mapping (``learn=["gamma"]``) are trained and saved with the model, one for
    each attention layer, or for each head with ``per="head"``.

    Args:
        model: a model of Transformers.
        mapping: the mapping, for example ``Sparsemax()``.
        attentions: which attentions: ``cross``, ``encoder``, ``decoder`` (self-attention).
        relative: whether γ = 1 is the strength that compares with softmax, whatever the length
            (:meth:`seq2seq.mappings.Mapping.relative`). The scores of a pretrained model suit
            softmax, so an absolute γ = 1 would be many times too steep.

    Returns:
        the model.

    Raises:
        ValueError: if the model has no such attention, an attention does not go through the
            interface of Transformers, or the mapping holds tensors or depends on earlier steps.
    """
    settings = _settings(mapping, relative)
    if unknown := [kind for kind in attentions if kind not in KINDS]:
        raise ValueError(f"attentions={unknown} has to be of {', '.join(KINDS)}")
    found = list(attention_modules(model))
    for kind in attentions:
        places = [module for _, of_kind, module in found if of_kind == kind]
        if not places:
            there = ", ".join(dict.fromkeys(k for _, k, _ in found)) or "none that can be changed"
            raise ValueError(f"{type(model).__name__} has no {kind} attention; it has: {there}")
        for module in places:
            own = (mapping.relative() if relative else mapping).for_layer(_heads(module))
            own.to(next(module.parameters()).device)
            setattr(module, NAME, own)
    _register()
    model.set_attn_implementation(NAME)
    remembered = {
        **(getattr(model.config, NAME, None) or {}),
        **dict.fromkeys(attentions, settings),
    }
    setattr(model.config, NAME, remembered)
    return model


def load_with_mapping(kind: type[Any], folder: str | Path, **options: Any) -> Any:
    """Load a saved model with the mappings that its configuration names.

    Args:
        kind: a model class of Transformers, such as ``AutoModelForSeq2SeqLM``.
        folder: what ``from_pretrained`` takes.
        options: further arguments of ``from_pretrained``.

    Raises:
        ValueError: if the configuration names no mapping, or an unknown one.
    """
    model = kind.from_pretrained(folder, **options)
    remembered = getattr(model.config, NAME, None)
    if not isinstance(remembered, dict) or not remembered:
        raise ValueError(f"{folder}: its config.json names no mapping; use from_pretrained")
    for attention, settings in remembered.items():
        mapping, relative = _mapping(settings)
        use_mapping(model, mapping, (attention,), relative=relative)
    learned = {name: p for name, p in model.named_parameters() if f".{NAME}." in name}
    if learned:  # `from_pretrained` did not know these parameters yet
        for name, parameter in learned.items():
            with safe_open(_file_with(folder, name), "pt") as file, torch.no_grad():
                parameter.copy_(file.get_tensor(name))
    return model


def _file_with(folder: str | Path, name: str) -> str:
    """Return the file of a saved model that has a parameter; large models have several files."""
    try:
        index = str(cached_file(folder, "model.safetensors.index.json"))
    except OSError:  # it is missing
        return str(cached_file(folder, "model.safetensors"))
    places = json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"]
    return str(cached_file(folder, places[name]))


def attention_modules(model: nn.Module) -> Iterator[tuple[str, str, nn.Module]]:
    """Yield name, kind (``cross``, ``encoder``, ``decoder``) and module of every attention.

    These are the modules whose ``forward`` looks up the attention function by its name.
    """
    for name, module in model.named_modules():
        forward = inspect.unwrap(type(module).forward)
        code = getattr(forward, "__code__", None)
        if code is None or "ALL_ATTENTION_FUNCTIONS" not in code.co_names:
            continue
        if CROSS.search(name):
            yield name, "cross", module
        elif re.search(r"(^|\.)decoder\.", name) or getattr(module, "is_causal", False):
            yield name, "decoder", module
        else:
            yield name, "encoder", module


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    position_bias: Tensor | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    """Compute attention by the mapping of a module: an attention function of Transformers.

    Args:
        module: the attention module; without a mapping it uses softmax.
        query: ``[batch, head, target, size]``.
        key: ``[batch, head of keys, source, size]``; the heads of keys divide those of queries.
        value: like ``key``.
        attention_mask: ``[batch, 1, target, source]``, added to the scores: 0, or the least number
            of its type where a position is hidden.
        scaling: multiplies the products; None: 1/√size.
        dropout: dropout probability of the weights.
        position_bias: added to the scores (T5).
        options: others of Transformers; those that change the scores are refused.

    Returns:
        outputs ``[batch, target, head, size]`` and weights ``[batch, head, target, source]``.
    """
    for name in REFUSED:
        if options.get(name) is not None:
            raise NotImplementedError(
                f"{type(module).__name__} uses {name}, which is not supported"
            )
    groups = query.size(1) // key.size(1)
    if groups > 1:
        key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
    scale = query.size(-1) ** -0.5 if scaling is None else scaling
    scores = query @ key.transpose(2, 3) * scale
    if position_bias is not None:
        scores = scores + position_bias
    exact = scores.to(torch.promote_types(scores.dtype, torch.float32))
    visible = None
    if attention_mask is not None:
        exact = exact + attention_mask
        visible = attention_mask > torch.finfo(attention_mask.dtype).min / 2
    mapping = getattr(module, NAME, None)
    if mapping is None or (mapping.is_softmax and not mapping.tensors() and mapping.gamma == 1):
        weights = exact.softmax(-1)
    else:
        weights = mapping(exact, visible)
    weights = weights.to(query.dtype)
    dropped = nn.functional.dropout(weights, dropout, module.training)
    return (dropped @ value).transpose(1, 2).contiguous(), weights


def _register() -> None:
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, eager_mask)


def _heads(module: nn.Module) -> int:
    config: Any = getattr(module, "config", None)
    for owner in (module, config):
        for name in ("num_heads", "n_heads", "num_attention_heads"):
            if isinstance(number := getattr(owner, name, None), int):
                return number
    raise ValueError(f"{type(module).__name__} does not say how many heads it has")


def _settings(mapping: Mapping, relative: bool) -> dict[str, Any]:
    """Return a mapping as plain values."""
    name = type(mapping).__name__
    if mapping.stateful or getattr(seq2seq.mappings, name, None) is not type(mapping):
        raise ValueError(f"{name} cannot be used here; choose from {', '.join(CLASSES)}")
    learned = mapping.learned()
    values: dict[str, Any] = {}
    for parameter in mapping.domains:
        value = learned[parameter].start if parameter in learned else getattr(mapping, parameter)
        if isinstance(value, Tensor):
            raise ValueError(f"{parameter} of {name} is a tensor; pass a number")
        values[parameter] = float(value)
    if learned:
        values |= {"learn": list(learned), "per": mapping.per}
    return {"class": name, "relative": relative or mapping.is_relative, **values}


def _mapping(settings: Any) -> tuple[Mapping, bool]:
    """Return the mapping of plain values, and whether its strength is relative.

    Raises:
        ValueError: if they describe none. Only the classes of this package are looked up.
    """
    if not isinstance(settings, dict) or settings.get("class") not in CLASSES:
        raise ValueError(f"{NAME} of config.json names no mapping: {settings!r:.100}")
    values = {k: v for k, v in settings.items() if k not in ("class", "relative")}
    try:
        return getattr(seq2seq.mappings, settings["class"])(**values), bool(settings["relative"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{NAME} of config.json: {error}") from error
