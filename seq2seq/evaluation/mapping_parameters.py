"""Parameters of attention mappings, learned or set: γ, λ, α and p by layer and head."""

from __future__ import annotations

from typing import Any

from seq2seq.models.attending import AttendingModel


def mapping_parameters(model: AttendingModel) -> dict[str, Any]:
    """Return all parameters that are tensors, ready for JSON; plain numbers are left out.

    Returns:
        ``{"overall": {"cross/gamma": …}, "by_layer_head": [{"layer": 0, "head": 0, "cross/gamma":
        …}, …]}``. ``overall`` has means over layers and heads. If the heads of a layer share a
        value, its entry has no ``head``. Empty if no parameter is a tensor.
    """
    overall: dict[str, float] = {}
    entries: dict[tuple[int, int | None], dict[str, float]] = {}
    for kind, mappings in model.attention_mappings().items():
        for layer, mapping in enumerate(mappings):
            for name, value in mapping.tensors().items():
                numbers = value.detach().double().flatten().tolist()
                heads = [None] if len(numbers) == 1 else range(len(numbers))
                for head, number in zip(heads, numbers, strict=True):
                    entries.setdefault((layer, head), {})[f"{kind}/{name}"] = number
                share = sum(numbers) / len(numbers) / len(mappings)
                overall[f"{kind}/{name}"] = overall.get(f"{kind}/{name}", 0.0) + share
    if not overall:
        return {}
    by_layer_head = [
        {"layer": layer, **({} if head is None else {"head": head}), **values}
        for (layer, head), values in entries.items()
    ]
    return {"overall": overall, "by_layer_head": by_layer_head}
