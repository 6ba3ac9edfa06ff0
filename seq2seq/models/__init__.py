"""Models with attention mappings of choice."""

from seq2seq.models.attending import AttendingModel
from seq2seq.models.encoder_decoder import EncoderDecoder, Output, Step
from seq2seq.models.recurrent import Recurrent
from seq2seq.models.state import State
from seq2seq.models.transformer import Transformer

__all__ = [
    "AttendingModel",
    "EncoderDecoder",
    "Output",
    "Recurrent",
    "State",
    "Step",
    "Transformer",
]
