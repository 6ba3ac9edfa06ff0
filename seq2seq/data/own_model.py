"""Adopt a SentencePiece model of the user: move its special pieces to the ids 0 to 3."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError
from sentencepiece import sentencepiece_model_pb2 as _generated

from seq2seq.data.batch import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from seq2seq.data.subwords import Subwords
from seq2seq.system.errors import DataError

sentencepiece_model_pb2: Any = _generated  # creates its classes at run time
SPECIALS = {"pad": PAD_ID, "unk": UNK_ID, "bos": BOS_ID, "eos": EOS_ID}


def adopt_subwords(model: bytes) -> Subwords:
    """Turn any SentencePiece model into `Subwords`.

    Moves pad, unk, bos, eos to the ids 0, 1, 2, 3, and adds those that are missing. Texts are
    segmented as before; only the ids change.

    Raises:
        DataError: if the bytes are not a SentencePiece model, or are damaged.
    """
    proto = sentencepiece_model_pb2.ModelProto()
    try:
        proto.ParseFromString(model)
    except DecodeError as error:
        raise DataError("these bytes are not a SentencePiece model, or damaged") from error
    try:
        return _adopted(model, proto)
    except (UnicodeError, ValueError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"this SentencePiece model is damaged ({error})") from error


def _adopted(model: bytes, proto: Any) -> Subwords:
    spec = proto.trainer_spec
    ids = {name: getattr(spec, f"{name}_id") for name in SPECIALS}
    if ids == SPECIALS and len(proto.pieces) > len(SPECIALS):
        return Subwords(model)
    pieces = list(proto.pieces)
    first = [_special(name, ids[name], pieces, spec) for name in SPECIALS]
    rest = [piece for i, piece in enumerate(pieces) if i not in ids.values()]
    adopted = sentencepiece_model_pb2.ModelProto()
    adopted.CopyFrom(proto)
    del adopted.pieces[:]
    adopted.pieces.extend(first + rest)
    for name, position in SPECIALS.items():
        setattr(adopted.trainer_spec, f"{name}_id", position)
    adopted.trainer_spec.vocab_size = len(adopted.pieces)
    return Subwords(adopted.SerializeToString())


def _special(name: str, position: int, pieces: list[Any], spec: Any) -> Any:
    """Return a special piece of the model; a new one if the model was trained without it."""
    kinds = sentencepiece_model_pb2.ModelProto.SentencePiece
    if 0 <= position < len(pieces):
        return pieces[position]
    kind = kinds.UNKNOWN if name == "unk" else kinds.CONTROL
    text = getattr(spec, f"{name}_piece")
    if any(piece.piece == text for piece in pieces):
        raise DataError(
            f"this SentencePiece model has no special piece for {name}, and {text} is an ordinary "
            f"piece of it; train it with another {name}_piece"
        )
    return kinds(piece=text, score=0.0, type=kind)
