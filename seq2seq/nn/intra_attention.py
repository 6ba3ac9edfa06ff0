"""Attention within a sentence (Parikh et al. 2016, section 3.4)."""

import torch
from torch import Tensor, nn

from seq2seq.mappings import Mapping
from seq2seq.nn.dropout import Dropout

FARTHEST = 10  # words at this distance or farther share one bias, in each direction


class IntraAttention(nn.Module):
    """Attention of words to their own sentence: ``[a_i; Σ_j Π(f_i·)_j a_j]`` for word i.

    The scores are ``f_ij = ⟨F(a_i), F(a_j)⟩ + d_{i−j}``. F is a layer with ReLU. d is a learned
    bias for each distance, where distances are clipped at ±10.
    """

    def __init__(self, size: int, mapping: Mapping, dropout: float) -> None:
        super().__init__()
        if mapping.stateful:
            raise ValueError(
                f"intra_mapping={type(mapping).__name__} bounds the sum of attention over "
                "steps, but there are no steps within a sentence; choose another mapping"
            )
        self.mapping = mapping.for_layer()
        layer = nn.Linear(size, size)
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
        self.features = nn.Sequential(Dropout(dropout), layer, nn.ReLU())
        self.distance = nn.Embedding(2 * FARTHEST + 1, 1)
        nn.init.zeros_(self.distance.weight)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        """Concatenate words with their contexts, ``[batch, length, 2 · size]``.

        Args:
            words: ``[batch, length, size]``.
            mask: ``[batch, 1, length]``, True where a word may be attended to.
        """
        features = self.features(words)
        places = torch.arange(words.size(1), device=words.device)
        distances = (places[:, None] - places).clamp(-FARTHEST, FARTHEST) + FARTHEST
        scores = features @ features.transpose(1, 2) + self.distance(distances).squeeze(-1)
        return torch.cat([words, self.mapping(scores, mask) @ words], dim=-1)
