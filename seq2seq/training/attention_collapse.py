"""Warn when attention becomes one-hot early in training, where it passes no gradient."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)

#: Number of first validations that are checked. Later, one-hot attention is often correct.
FIRST_VALIDATIONS = 3
#: Share of attention distributions with a single word in their support that triggers the warning.
#: Sparsemax at γ = 1 has 0.6 to 0.9 with absolute strength, and 0.1 to 0.3 with relative strength.
LARGEST_SHARE = 0.5


class CollapseWarning:
    """A warning, logged once, that attention is mostly on single words in the first validations.

    If a sparse mapping puts all its weight on one word, its Jacobian is zero. The scores then
    receive no gradient, and the model cannot learn to look elsewhere.

    Args:
        config: configuration of the run; the warning quotes its γ and its strength.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.gamma = (config.get("attention") or {}).get("gamma", 1.0)
        self.strength = config.get("model", {}).get("strength", "absolute")
        self.warned = False

    def __call__(self, metrics: Mapping[str, Any], step: int, validations: int) -> None:
        """Log the warning if the attention of a validation is mostly one-hot.

        Args:
            metrics: metrics of the validation, with summaries of attention statistics.
            step: number of updates so far.
            validations: number of validations so far, including this one.
        """
        if self.warned or validations > FIRST_VALIDATIONS:
            return
        for name, summary in metrics.items():
            overall = summary.get("overall", {}) if isinstance(summary, Mapping) else {}
            if overall.get("one_word_share", 0.0) >= LARGEST_SHARE:
                self.warned = True
                log.warning(
                    "step %d: %s looks at a single word in %.0f %% of all cases, and %.0f %% of "
                    "the scores receive no gradient, so training may stall. %s.",
                    *(step, name.replace("_", " "), 100 * overall["one_word_share"]),
                    *(100 * overall["no_gradient_share"], self._advice()),
                )
                return

    def _advice(self) -> str:
        """Return the key to change, with its current value."""
        larger = f"raise attention.gamma (now {self.gamma:g})"
        if self.strength == "relative":
            return larger.capitalize()
        return f"Set model.strength=relative (now {self.strength}), or {larger}"
