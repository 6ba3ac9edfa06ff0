"""A Marian Transformer of our size, decoded by Hugging Face and by CTranslate2, for races."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from seq2seq.data.batch import EOS_ID, PAD_ID, UNK_ID

System = Callable[[Tensor, Tensor], list[int]]
"""Source ids and lengths → the lengths of what was found."""


def marian(size: int, model: DictConfig) -> Any:
    """Build a Marian model of the size of our Transformer."""
    from transformers import MarianConfig, MarianMTModel
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    torch.manual_seed(1)
    config = MarianConfig(
        vocab_size=size + 1,
        pad_token_id=size,  # Marian's is the last
        decoder_start_token_id=size,
        eos_token_id=EOS_ID,
        forced_eos_token_id=EOS_ID,
        d_model=model.size,
        encoder_layers=model.encoder_layers,
        decoder_layers=model.decoder_layers,
        encoder_attention_heads=model.heads,
        decoder_attention_heads=model.heads,
        encoder_ffn_dim=model.feedforward_size,
        decoder_ffn_dim=model.feedforward_size,
        activation_function="relu",
        max_position_embeddings=512,
        scale_embedding=True,
    )
    return MarianMTModel(config).eval()


def hugging_face(model: Any, beam: int, tokens: int) -> System:
    options = {"num_beams": beam, "do_sample": False, "use_cache": True}
    lengths = {"min_new_tokens": tokens, "max_new_tokens": tokens, "max_length": None}

    @torch.inference_mode()
    def decode(source: Tensor, _: Tensor) -> list[int]:
        found = model.generate(
            input_ids=source, attention_mask=(source != PAD_ID).long(), **options, **lengths
        )
        return [found.size(1) - 1] * found.size(0)  # its first token begins all of them

    return decode


def ctranslate2(model: Any, beam: int, tokens: int, threads: int, folder: Path) -> System:
    """Return the converted Marian model, with pieces named by their ids."""
    import ctranslate2 as library

    path = folder / "ctranslate2"
    if not path.exists():
        convert(model, path)
    translator = library.Translator(
        str(path), device="cpu", inter_threads=1, intra_threads=threads, compute_type="float32"
    )

    def decode(source: Tensor, lengths: Tensor) -> list[int]:
        rows = zip(source.tolist(), lengths.tolist(), strict=True)
        pieces = [[str(token) for token in row[:length]] for row, length in rows]
        found = translator.translate_batch(
            pieces,
            beam_size=beam,
            max_batch_size=len(pieces),
            min_decoding_length=tokens,
            max_decoding_length=tokens,
        )
        return [len(translation.hypotheses[0]) for translation in found]

    return decode


def convert(model: Any, path: Path) -> None:
    from ctranslate2.converters.transformers import MarianMTLoader

    spec = MarianMTLoader().get_model_spec(model)
    tokens = [str(i) for i in range(model.config.vocab_size - 1)]  # all but Marian's padding
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    spec.config.eos_token = spec.config.decoder_start_token = str(EOS_ID)
    spec.config.unk_token = str(UNK_ID)
    spec.validate()
    spec.optimize()
    path.mkdir()
    spec.save(str(path))
