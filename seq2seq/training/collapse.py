"""Warn when attention has become one-hot early in training, where it passes no gradient."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)

#: Validations in which a run is warned. A trained model may well look at single words later on.
FIRST_VALIDATIONS = 3
#: Share of the attention distributions with one word in the support from which training may stall.
#: Sparsemax at γ = 1 on scores of its own has 0.6 to 0.9, at relative strength 0.1 to 0.3.
LARGEST_SHARE = 0.5


class CollapseWarning:
    """One warning when, in the first validations, most attention is on a single word.

    Where all of the weight of a sparse mapping is on one word, its Jacobian is zero: the scores
    receive no gradient, and the model cannot learn to look elsewhere.

    Args:
        config: of the run, for what it says of the strength.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.gamma = (config.get("attention") or {}).get("gamma", 1.0)
        self.strength = config.get("model", {}).get("strength", "absolute")
        self.warned = False

    def __call__(self, metrics: Mapping[str, Any], step: int, validations: int) -> None:
        """Look at the attention of a validation.

        Args:
            metrics: of the validation, with summaries of attention statistics.
            step: updates so far.
            validations: how many there have been, this one included.
        """
        if self.warned or validations > FIRST_VALIDATIONS:
            return
        for name, summary in metrics.items():
            overall = summary.get("overall", {}) if isinstance(summary, Mapping) else {}
            if overall.get("one_word_share", 0.0) >= LARGEST_SHARE:
                self.warned = True
                log.warning(
                    "step %d: %s looks at a single word in %.0f %% of all cases, and %.0f %% of "
                    "the scores receive no gradient: training may stall. %s.",
                    *(step, name.replace("_", " "), 100 * overall["one_word_share"]),
                    *(100 * overall["no_gradient_share"], self._advice()),
                )
                return

    def _advice(self) -> str:
        """Return which key to change, and its value now."""
        larger = f"raise attention.gamma (now {self.gamma:g})"
        if self.strength == "relative":
            return larger.capitalize()
        return f"Set model.strength=relative (now {self.strength}), or {larger}"
