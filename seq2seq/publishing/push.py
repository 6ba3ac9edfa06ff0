"""Publish a checkpoint and its model card to a folder or to a repository of the hub."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from seq2seq.checkpoint import CONFIG, WEIGHTS, Checkpoint
from seq2seq.checkpoint.hub import FILES, Repository, is_hub, odd_answer
from seq2seq.publishing.card import model_card
from seq2seq.publishing.errors import PublishingError
from seq2seq.system.atomic_writing import replacing, replacing_folder

CARD = "README.md"


def push(
    checkpoint: Checkpoint,
    to: str,
    *,
    private: bool = True,
    name: str | None = None,
    license: str | None = None,
) -> str:
    """Copy a checkpoint's files, and write its card beside them.

    Training state, data and outputs are not copied. Other files in a repository of the hub are
    kept.

    Args:
        checkpoint: the loaded checkpoint, which has been checked.
        to: a folder, or ``hub:owner/name``.
        private: whether a new repository is private.
        name: name of the model, for the card; None: that of the folder or repository.
        license: license of the weights, for the card; None: ``data.license``, or unknown.

    Returns:
        the folder, or ``hub:owner/name``.

    Raises:
        PublishingError: if the folder has other files, or the upload fails.
    """
    if is_hub(to):
        return _to_hub(checkpoint, to, private, name, license)
    folder = Path(os.path.expanduser(to))
    # Only the name of the folder: its path on this machine does not help others.
    text = model_card(checkpoint, Path(os.path.realpath(folder)).name, name=name, license=license)
    if Path(os.path.realpath(folder)) == Path(os.path.realpath(checkpoint.folder)):
        with replacing(folder / CARD, lasting=True) as draft:
            draft.write_text(text, encoding="utf-8")
        return to
    if folder.exists() and not folder.is_dir():
        raise PublishingError(f"to={to} is a file; give a folder")
    if folder.exists() and any(folder.iterdir()) and not _is_published(folder):
        raise PublishingError(f"to={to} has other files, which would be deleted; give a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(folder) as new:
        _gather(checkpoint, new, text)
    return to


def _is_published(folder: Path) -> bool:
    """Return True if a folder has only files that a push writes."""
    ours = {path.name for pattern in FILES for path in folder.glob(pattern)}
    return {WEIGHTS, CONFIG} <= ours and ours == {path.name for path in folder.iterdir()}


def _gather(checkpoint: Checkpoint, folder: Path, card: str) -> None:
    for pattern in FILES:
        for path in checkpoint.folder.glob(pattern):
            if path.is_file() and path.name != CARD:
                shutil.copyfile(path, folder / path.name)
    (folder / CARD).write_text(card, encoding="utf-8")


def _to_hub(
    checkpoint: Checkpoint, to: str, private: bool, name: str | None, license: str | None
) -> str:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    place = Repository.of(to, key="to")
    if place.revision is not None:
        raise PublishingError(f"to={to}: a push creates a new revision; remove @{place.revision}")
    card = model_card(checkpoint, to, name=name, license=license)
    api = HfApi(library_name="seq2seq")
    with tempfile.TemporaryDirectory() as temporary:
        _gather(checkpoint, Path(temporary), card)
        try:
            api.create_repo(place.name, private=private, exist_ok=True)
            api.upload_folder(
                repo_id=place.name,
                folder_path=temporary,
                commit_message="A checkpoint of seq2seq and its card",
            )
        except OfflineModeIsEnabled as error:
            raise PublishingError(
                f"to={to}: HF_HUB_OFFLINE is set; unset it, or push to a folder"
            ) from error
        except HfHubHTTPError as error:
            raise PublishingError(
                f"to={to}: the hub refuses ({str(error).splitlines()[0]}); log in with `hf auth "
                "login`, and check that you may write there"
            ) from error
        except (OSError, ValueError) as error:
            raise PublishingError(f"to={to} cannot be reached: {error}") from error
        except Exception as error:  # of any kind, since the answer may be of any form
            raise PublishingError(f"to={to}: {odd_answer(error)}") from error
    return to
