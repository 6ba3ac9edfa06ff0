"""A hand-made page, whose content tests know."""

from __future__ import annotations

import torch

from seq2seq.evaluation.evaluation import AttentionMap
from seq2seq.explore.exploration import Answer, Example, Exploration, Model, Parameter
from seq2seq.explore.packing import run_lengths
from seq2seq.tasks.looking import Outcome

ATTACK = '<script>document.title="run"</script><img src=x onerror="document.title=\'run\'">'
TINY = 1e-6
# Of the sparse model: a run of three, exact zeros, a weight that is tiny and not 0.
SPARSE = [
    [1 / 3, 1 / 3, 1 / 3, 0.0, 0.0],
    [0.0, 0.0, 1 - TINY, TINY, 0.0],
    [0.0, 0.0, 0.0, 0.75, 0.25],
]
DENSE = [[0.3, 0.3, 0.2, 0.1, 0.1], [0.1, 0.2, 0.5, 0.1, 0.1], [0.05, 0.05, 0.1, 0.4, 0.4]]
SENTENCES = [
    ("the old cat sleeps", "gato viejo", "gato viejo", "gato viejo"),
    ("a red house falls", "casa roja", "casa verde", "casa roja"),
    (f"what {ATTACK} means", "nada roja", ATTACK, "nada de"),
]


def look(source: str, target: str, rows: list[list[float]], heads: int = 1) -> AttentionMap:
    """Each of the first four words of a source is a piece, and each of two of a target."""
    sources = [f"▁{word}" for word in source.split()][:4]
    targets = [f"▁{word}" for word in target.split()][:2]
    weights = torch.tensor(rows).expand(heads, 1, 3, 5).contiguous()
    if heads > 1:
        weights[1] = weights[1].flip(-1)
    pad = ["▁more"] * (4 - len(sources))
    return AttentionMap(
        [*sources, *pad, "</s>"],
        [*targets, *["▁more"] * (2 - len(targets)), "</s>"],
        [0, 1, 2, 3, -1],
        [0, 1, -1],
        weights,
    )


def answer(source: str, reference: str, text: str, score: float, sparse: bool) -> Answer:
    rows, heads = (SPARSE, 2) if sparse else (DENSE, 1)
    looks = {
        "writing": look(source, text, rows, heads),
        "reading": look(source, reference, rows, heads),
    }
    return Answer.of(Outcome(text, -1.0, looks), score)


def exploration(repeat: int = 1) -> Exploration:
    """Model A is dense, with one head; model B sparse, with two layers of one."""
    examples = [
        Example(
            source if n < 3 else f"{source} {n}",
            [reference],
            "",
            [(0, 0), (2, 1)],
            [
                answer(source, reference, first, 90.0 - 30 * (n % 3), sparse=False),
                answer(source, reference, second, 50.0 + 10 * (n % 3), sparse=True),
            ],
        )
        for n in range(3 * repeat)
        for source, reference, first, second in [SENTENCES[n % 3]]
    ]
    gamma = Parameter("gamma", 1.0, 0.0, None, False)
    models = [
        Model("softmax", "softmax", [gamma], "Recurrent", "runs/a", 1, 1, {"writing": {1: 30}}),
        Model(
            "fusedmax",
            "fusedmax",
            [Parameter("lam", 0.2, 0.0, None, False), gamma],
            *("Transformer", "runs/b", 2, 1),
            {"writing": dict(run_lengths(torch.tensor(SPARSE)))},
        ),
    ]
    return Exploration(
        "Small", "test", ("en", "es"), ("source", "reference"), "chrf", models, examples
    )
