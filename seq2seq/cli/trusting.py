"""``trust=[my_package]``: the user's packages whose classes a checkpoint may name."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from seq2seq.cli.application import plain


def trust_packages(config: DictConfig) -> None:
    """Allow checkpoints to name classes of the packages in ``trust``.

    Raises:
        ValueError: if a package cannot be imported.
    """
    from seq2seq.checkpoint import trust

    names = plain(config, "trust").get("trust") or []
    trust([names] if isinstance(names, str) else names)


def trusting(config: dict[str, Any]) -> str:
    """Return the argument that commands need to load a checkpoint of this configuration, or ""."""
    from seq2seq.checkpoint import packages_to_trust

    parts = [config.get("task"), config.get("model"), (config.get("data") or {}).get("corpus")]
    packages = packages_to_trust(parts)
    return f" trust=[{','.join(packages)}]" if packages else ""
