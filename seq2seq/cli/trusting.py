"""``trust=[my_package]``: packages of the user's own whose classes a checkpoint may name."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from seq2seq.cli.application import plain


def trust_packages(config: DictConfig) -> None:
    """Let the checkpoints that are loaded from now on name classes of ``trust``.

    Raises:
        ValueError: if a package cannot be imported.
    """
    from seq2seq.checkpoint import trust

    names = plain(config, "trust").get("trust") or []
    trust([names] if isinstance(names, str) else names)


def trusting(config: dict[str, Any]) -> str:
    """The argument that a command needs to load a checkpoint of this configuration, or nothing."""
    from seq2seq.checkpoint import packages_to_trust

    parts = [config.get("task"), config.get("model"), (config.get("data") or {}).get("corpus")]
    packages = packages_to_trust(parts)
    return f" trust=[{','.join(packages)}]" if packages else ""
