"""Models in which you can choose the attention mappings."""

from seq2seq.models.attending import AttendingModel
from seq2seq.models.decomposable_attention import DecomposableAttention
from seq2seq.models.encoder_decoder import EncoderDecoder, Output, Step
from seq2seq.models.ensemble import Ensemble
from seq2seq.models.pair_classifier import Classification, PairClassifier
from seq2seq.models.recurrent import Recurrent
from seq2seq.models.recurrent_classifier import RecurrentClassifier
from seq2seq.models.state import State
from seq2seq.models.transformer import Transformer

__all__ = [
    "AttendingModel",
    "Classification",
    "DecomposableAttention",
    "EncoderDecoder",
    "Ensemble",
    "Output",
    "PairClassifier",
    "Recurrent",
    "RecurrentClassifier",
    "State",
    "Step",
    "Transformer",
]
