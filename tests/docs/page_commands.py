"""How a command of the documentation is run by the tests: what makes it short, what is not run.

Nothing is hidden: whatever a test adds to a command, or answers in its place, is in these tables.
"""

from __future__ import annotations

import re
from functools import cache

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from page_blocks import REPOSITORY

# Commands that are not run, by their first words, and why; one that no page has is an error.
NOT_RUN = {
    "pip install": "the package is installed already, and no test reaches the network",
    "pre-commit install": "it would change the hooks of the checkout that is tested",
    "python -m pytest": "these are the tests",
    "python -m venv": "the tests run in an environment of theirs",
    "tensorboard --logdir": "a server that runs until it is stopped",
    "scontrol show hostnames": "Slurm's",
    "srun torchrun": "Slurm's, over several machines; what it starts is run as torchrun below",
    "torchrun --nproc-per-node=8 -m seq2seq.cli.train trainer=fsdp": "shards take several processes"
    ", which tests/cli/test_many_processes.py starts",
    "seq2seq-push checkpoint=RUN to=hub:OWNER/NAME": "tests/publishing pushes to a hub of its own",
    "seq2seq-translate checkpoint=hub:OWNER/NAME@v1": "tests/publishing fetches from it",
    "python scripts/soak.py": "an hour of accidents; tests/scripts/test_soak.py has a few",
    "python scripts/finetune_transformers.py MODEL": "tests/scripts/test_finetune_transformers.py",
    "python scripts/bench_startup.py": "tests/scripts/test_bench_startup.py runs it",
    "python scripts/bench_compile.py": "tests/scripts/test_bench_compile.py runs it",
    "python scripts/check_gpu.py": "for a GPU; tests/scripts/test_check_gpu.py runs it on a CPU",
    "python scripts/draw_mappings.py": "it rewrites a page; test_draw_mappings.py runs it",
}

# Commands of recipes that change the package: other tests run them in a copy that has the change.
RUN_ELSEWHERE = {
    "attention=expmax": "tests/test_contributing.py",
    "attention@model.encoder_mapping=expmax": "tests/test_contributing.py",
    "attention=mine": "tests/test_contributing.py",
    "data=reversal": "tests/test_contributing.py",
    "model=convolutional": "tests/test_contributing.py",
    "task=rewriting": "tests/test_contributing.py",
    "search.constraints=[{_target_:seq2seq.search.frequency.MaxFrequency,times:3}]": "tests/"
    "test_contributing.py",
    "data=proverbs": "tests/test_data_guide.py",
    "data=barred": "tests/test_data_guide.py",
}

# What is put before the arguments of seq2seq-train, which may say otherwise,
USUAL = ("validation.heat_maps=0", "trainer.accelerator=cpu")
# and behind them: always, and by the choices of its configuration that are in force.
STEPS = ("trainer.max_steps=2", "validation.every_n_steps=2", "validation.sentences=4")
ALWAYS = (*STEPS, "data.batch.tokens=800")
TOY = (
    *("data.corpus.train_size=200", "data.corpus.validation_size=8", "data.corpus.test_size=8"),
    "data.subwords.size=400",
)
FILES = ("data.subwords.size=60", "data.subwords.byte_fallback=false")
SHORT = {
    ("data", "toy"): TOY,
    ("data", "toy_headlines"): TOY,
    ("data", "toy_entailment"): TOY[:3],
    ("model", "recurrent"): ("model.hidden_size=16", "model.embedding_size=16"),
    ("model", "transformer"): ("model.size=16", "model.feedforward_size=16"),
    ("model", "recurrent_classifier"): ("model.hidden_size=16",),
    ("model", "decomposable_attention"): ("model.hidden_size=16",),
    ("schedule", "cosine"): ("schedule.warmup_steps=1",),
    ("schedule", "inverse_square_root"): ("schedule.warmup_steps=1",),
    ("tuning", "strength"): ("hydra.sweeper.n_trials=2",),
    ("tuning", "strength_and_fusion"): ("hydra.sweeper.n_trials=2",),
}
SWEPT = re.compile(r"^([\w.@/]+=)([\w.]+,[\w.]+),.*$")  # of a sweep's values, the first two
LABELED = ("snli", "multinli", "sick", "snli_cad", "nli")

# What a command with init= has from its checkpoint, whatever it takes to train that one.
DECIDED_BY_INIT = ("model.", "data.subwords.")

# What is added to a command that goes on with a run of four steps.
RESUMED = ("trainer.max_steps=6",)

# What torchrun says to the processes that it starts; here to the only one of a group of one.
# tests/cli/test_many_processes.py starts several.
ALONE = {
    **{"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"},
    **{"MASTER_ADDR": "127.0.0.1", "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "none"},
}

# What is added to scripts. No file of a corpus is fetched: its script says what to put where, as it
# does to whoever has no network (tests/scripts downloads from a server of its own).
OFFLINE = ("--mirror", "http://127.0.0.1:9")
TINY_BENCH = ("--steps", "1", "--turns", "2", "--batch-tokens", "200")
SCRIPTS = {
    "prepare_multi30k": OFFLINE,
    "prepare_iwslt14_de_en": OFFLINE,
    "prepare_wmt14_fr_en": OFFLINE,
    "prepare_opus": OFFLINE,
    "prepare_entailment": OFFLINE,
    "prepare_reuters": ("--held-out", "2"),
    "bench_training": (*TINY_BENCH, "--models", "recurrent", "--threads", "1", *FILES),
    "bench_attention": (*TINY_BENCH, "--models", "recurrent", "--turns", "3", *FILES),
    "bench_search": (
        *("--sentences", "4", "--batch", "2", "--tokens", "3", "--models", "recurrent"),
        *("model.embedding_size=8", "model.hidden_size=8", *FILES),
    ),
    "bench_losses": ("--shapes", "3x50", "--threads", "1", "--rounds", "2"),
    "bench_mappings": (
        *("--quick", "--rounds", "2", "--turn", "0.0001", "--shapes", "64x30", "--scales", "1"),
        *("--mappings", "softmax,fusedmax"),
    ),
    "fuzz_readers": ("--examples", "2"),
}
OVERRIDE = re.compile(r"[a-z_.]+=")
# What a script says, and ends with 1, without a network.
SAID_OFFLINE = "put it at "


def shortened(command: str, arguments: list[str]) -> list[str]:
    """Return the arguments of a command of the package, with those that shorten it."""
    overrides = [argument for argument in arguments if argument != "-m"]
    if command != "train" or any(argument.startswith("-") for argument in overrides):
        return arguments
    if any(argument.startswith("resume=") for argument in overrides):
        return [*arguments, *RESUMED]
    choices = _choices(tuple(text for text in overrides if "." not in text.split("=")[0]))
    added = [*ALWAYS, *(text for choice in choices.items() for text in SHORT.get(choice, ()))]
    data = choices.get("data")
    if ("data", data) not in SHORT and data not in LABELED:
        added += FILES
    if any(argument.startswith("init=") for argument in overrides):
        added = [text for text in added if not text.startswith(DECIDED_BY_INIT)]
    if "-m" not in arguments:
        return [*USUAL, *overrides, *added]
    swept = [SWEPT.sub(r"\1\2", text) for text in overrides]
    return ["-m", *USUAL, *swept, *added]


def shortened_script(script: str, arguments: list[str]) -> list[str]:
    """Return the arguments of a script; overrides of the configuration must be together."""
    added = SCRIPTS.get(script, ())
    overrides = [word for word in (*arguments, *added) if OVERRIDE.match(word)]
    options = [word for word in (*arguments, *added) if not OVERRIDE.match(word)]
    return [*options, *overrides]


@cache
def _choices(overrides: tuple[str, ...]) -> dict[str, str]:
    """Return the chosen groups: those of the command line, of its experiment, and of the task."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    first = [
        f"{override.input_line.split('=')[0]}={next(override.sweep_string_iterator())}"
        if override.is_sweep_override()
        else override.input_line
        for override in parsed
    ]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(REPOSITORY / "configs"), version_base="1.3"):
        config = compose("train", first, return_hydra_config=True)
    choices = config.hydra.runtime.choices
    return {name.split("@")[0]: value for name, value in choices.items() if _whole(name)}


def _whole(name: str) -> bool:
    """Whether a choice is that of a group as a whole, not of a part such as a second mapping."""
    group, _, place = name.partition("@")
    return place in ("", f"_global_.{group}", group)
