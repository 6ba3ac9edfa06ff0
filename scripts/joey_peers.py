"""JoeyNMT's models of our sizes, for races (`pip install joeynmt`)."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from seq2seq.data.batch import PAD_ID, Batch

SPECIALS = {"unk": 0, "pad": 1, "bos": 2, "eos": 3}  # JoeyNMT's order; our ids come after them


def joey(size: int, kind: str, config: DictConfig) -> Any:
    """JoeyNMT's Transformer or recurrent model, with ``size`` entries on each side.

    Its recurrent encoder has the hidden size in each direction, ours in both together; its bridge
    is a linear layer.
    """
    from joeynmt.model import build_model
    from joeynmt.vocabulary import Vocabulary

    logging.getLogger("joeynmt.model").setLevel(logging.WARNING)
    tokens = {f"{name}_token": f"<{name}>" for name in SPECIALS}
    ids = {f"{name}_id": index for name, index in SPECIALS.items()}
    special = SimpleNamespace(**tokens, **ids, lang_tags=[], sep_token=None)
    vocabulary = Vocabulary([str(index) for index in range(size)], special)
    build = transformer if kind == "transformer" else recurrent
    return build_model(build(config.model), vocabulary, vocabulary)


def transformer(model: DictConfig) -> dict[str, Any]:
    """One table for both sides and the output layer."""
    sizes = {
        "type": "transformer",
        "num_heads": model.heads,
        "hidden_size": model.size,
        "ff_size": model.feedforward_size,
        "dropout": model.dropout,
        "layer_norm": model.norm,
        "embeddings": {"embedding_dim": model.size, "scale": True, "dropout": model.dropout},
    }
    return {
        "tied_embeddings": True,
        "tied_softmax": True,
        "encoder": {**sizes, "num_layers": model.encoder_layers},
        "decoder": {**sizes, "num_layers": model.decoder_layers},
    }


def recurrent(model: DictConfig) -> dict[str, Any]:
    """Luong's attention; a table for each side, and an output layer."""
    sizes = {
        "type": "recurrent",
        "rnn_type": model.cell,
        "dropout": model.dropout,
        "embeddings": {"embedding_dim": model.embedding_size, "dropout": model.dropout},
    }
    return {
        "encoder": {
            **sizes,
            "hidden_size": model.hidden_size // 2,
            "num_layers": model.encoder_layers,
            "bidirectional": True,
        },
        "decoder": {
            **sizes,
            "hidden_size": model.hidden_size,
            "num_layers": model.decoder_layers,
            "attention": "luong",
            "hidden_dropout": model.dropout,
            "init_hidden": "bridge",
            "input_feeding": model.input_feeding,
        },
    }


def joey_loss(model: Any, label_smoothing: float, batch: Batch) -> Tensor:
    """Its loss, divided by the tokens."""
    if model.loss_function is None:
        model.loss_function = ("crossentropy", label_smoothing)
    order = batch.source_lengths.argsort(descending=True)  # its encoder wants the longest first
    source, inputs, outputs = (
        ids[order] for ids in (batch.source, batch.target_input, batch.target_output)
    )
    real = outputs != PAD_ID
    loss, *_ = model(
        return_type="loss",
        src=shifted(source),
        src_mask=(source != PAD_ID)[:, None],
        src_length=batch.source_lengths[order],
        trg_input=shifted(inputs),
        trg=shifted(outputs),
        trg_mask=real[:, None],
    )
    return loss / real.sum()


def shifted(ids: Tensor) -> Tensor:
    """Our ids as JoeyNMT's."""
    return torch.where(ids == PAD_ID, SPECIALS["pad"], ids + len(SPECIALS))
