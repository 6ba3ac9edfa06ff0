"""Adopt a SentencePiece model of the user: move its special pieces to the ids 0 to 3."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError
from sentencepiece import sentencepiece_model_pb2 as _generated

from seq2seq.data.batch import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from seq2seq.data.subwords import Subwords
from seq2seq.system.errors import DataError

sentencepiece_model_pb2: Any = _generated  # creates its classes at run time
KINDS = sentencepiece_model_pb2.ModelProto.SentencePiece
SYMBOLS = (KINDS.CONTROL, KINDS.USER_DEFINED)
SPECIALS = {"pad": PAD_ID, "unk": UNK_ID, "bos": BOS_ID, "eos": EOS_ID}


def adopt_subwords(model: bytes) -> Subwords:
    """Turn any SentencePiece model into `Subwords`.

    Moves pad, unk, bos, eos to the ids 0, 1, 2, 3, and adds those that are missing. Texts are
    segmented as before; only the ids change. A user-defined symbol named as a special piece, such
    as `<pad>`, becomes that special piece.

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
    pieces = list(proto.pieces)
    ids = {name: _position(name, pieces, spec) for name in SPECIALS}
    first = [_special(name, ids[name], pieces, spec) for name in SPECIALS]
    if ids == SPECIALS and first == pieces[: len(SPECIALS)] and len(pieces) > len(SPECIALS):
        return Subwords(model)
    rest = [piece for i, piece in enumerate(pieces) if i not in ids.values()]
    adopted = sentencepiece_model_pb2.ModelProto()
    adopted.CopyFrom(proto)
    del adopted.pieces[:]
    adopted.pieces.extend(first + rest)
    for name, position in SPECIALS.items():
        setattr(adopted.trainer_spec, f"{name}_id", position)
    adopted.trainer_spec.vocab_size = len(adopted.pieces)
    return Subwords(adopted.SerializeToString())


def _position(name: str, pieces: list[Any], spec: Any) -> int:
    """Return where the special piece is; -1 if the model has none.

    A model trained with, for example, `pad_id=-1` may have the piece `<pad>` as a control or
    user-defined symbol.
    """
    position = int(getattr(spec, f"{name}_id"))
    if 0 <= position < len(pieces):
        return position
    text = getattr(spec, f"{name}_piece")
    position = next((i for i, piece in enumerate(pieces) if piece.piece == text), -1)
    if position >= 0 and pieces[position].type not in SYMBOLS:
        raise DataError(
            f"this SentencePiece model has no {name}, and {text}, which would be its name, is an "
            f"ordinary piece; train the model with {name}_id set, or with {name}_piece=TEXT"
        )
    return position


def _special(name: str, position: int, pieces: list[Any], spec: Any) -> Any:
    """Return the special piece of the model, or a new one if the model was trained without it.

    SentencePiece takes pad, bos and eos only from control symbols, so a user-defined one becomes
    a control symbol. A text can then no longer contain it.
    """
    kind = KINDS.UNKNOWN if name == "unk" else KINDS.CONTROL
    if position < 0:
        return KINDS(piece=getattr(spec, f"{name}_piece"), score=0.0, type=kind)
    piece = KINDS()
    piece.CopyFrom(pieces[position])
    if piece.type == KINDS.USER_DEFINED:
        piece.type = kind
    return piece
