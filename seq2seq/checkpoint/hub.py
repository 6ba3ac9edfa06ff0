"""Fetch checkpoint directories from the Hugging Face hub: ``hub:owner/name[@revision]``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from seq2seq.checkpoint.building import CONFIG, CheckpointError

PREFIX = "hub:"
FORM = re.compile(r"hub:([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
#: The files of a repository that are fetched: those of a checkpoint directory.
FILES = (
    "model.safetensors",
    "model.safetensors.sha256",
    CONFIG,
    "subwords*.model",
    "words*.json",
    "metrics.json",
    "README.md",
)


@dataclass(frozen=True)
class Repository:
    """A model repository, at a branch, tag or commit; None: the main branch."""

    name: str
    revision: str | None = None

    @classmethod
    def of(cls, text: str, key: str = "checkpoint") -> Repository:
        """Parse ``hub:owner/name[@revision]``.

        Args:
            text: the text of the user.
            key: the option with that text, for messages.

        Raises:
            CheckpointError: if the text does not have this form.
        """
        match = FORM.fullmatch(text)
        if match is None or ".." in text:
            raise CheckpointError(f"{key}={text}: write hub:OWNER/NAME or hub:OWNER/NAME@REVISION")
        return cls(match[1], match[2])


def is_hub(path: object) -> bool:
    """Return True if a path of the user is on the hub."""
    return str(path).startswith(PREFIX)


def odd_answer(error: Exception) -> str:
    """Return the message for an answer that ``huggingface_hub`` cannot read, such as a proxy's."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT} does not answer as a hub does ({type(error).__name__}: {error})"


def fetched(text: str) -> Path:
    """Return the folder of a repository in Hugging Face's cache; fetch it if it is missing.

    The environment variables ``HF_HUB_OFFLINE``, ``HF_ENDPOINT``, ``HF_HOME`` and ``HF_TOKEN`` have
    their usual meaning.

    Raises:
        CheckpointError: if the repository does not exist or cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    place = Repository.of(text)
    try:
        folder = snapshot_download(place.name, revision=place.revision, allow_patterns=list(FILES))
    except GatedRepoError as error:
        raise CheckpointError(
            f"checkpoint={text}: its owner grants access; ask on its page, then: hf auth login"
        ) from error
    except RevisionNotFoundError as error:
        raise CheckpointError(
            f"checkpoint={text}: {place.name} has no revision {place.revision or 'main'}"
        ) from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(
            f"checkpoint={text}: the hub has no such repository, or it is private: hf auth login"
        ) from error
    except LocalEntryNotFoundError as error:
        raise CheckpointError(
            f"checkpoint={text}: it was not fetched before, and the hub cannot be reached "
            "(is HF_HUB_OFFLINE set?); connect, or give a folder"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise CheckpointError(f"checkpoint={text} cannot be fetched: {error}") from error
    except Exception as error:  # of any kind, since the answer may be of any form
        raise CheckpointError(
            f"checkpoint={text} cannot be fetched: {odd_answer(error)}"
        ) from error
    return Path(folder)
