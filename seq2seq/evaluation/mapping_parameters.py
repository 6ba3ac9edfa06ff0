"""What attention mappings have learned, or been set to: γ, λ, α and p by layer and head."""

from __future__ import annotations

from typing import Any

from seq2seq.models.attending import AttendingModel


def mapping_parameters(model: AttendingModel) -> dict[str, Any]:
    """All parameters that are tensors, ready for JSON; those that are plain numbers are left out.

    Returns:
        ``{"overall": {"cross/gamma": …}, "by_layer_head": [{"layer": 0, "head": 0, "cross/gamma":
        …}, …]}``, means over layers and heads first; where a layer has one number for all of its
        heads, the entry has no ``head``. Empty if there is no such parameter.
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
