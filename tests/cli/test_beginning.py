"""`init=`: runs that start from a checkpoint, by configuration and as users run them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import yaml
from accidents import At
from commands import SMALL, cold, forked
from datasets import Dataset
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig
from safetensors.torch import load_file

from seq2seq.checkpoint import load_checkpoint, save_checkpoint
from seq2seq.cli.application import config_folder, plain
from seq2seq.cli.beginning import begun, spelled_out
from seq2seq.data import VocabularyPair, build_subwords
from seq2seq.models.attending import AttendingModel

Begin = Callable[..., DictConfig]
TEXTS = [f"the small dog sees number {k}" for k in range(60)]


@pytest.fixture(scope="module")
def pairs() -> dict[str, VocabularyPair]:
    split = Dataset.from_dict({"source": TEXTS, "target": TEXTS})
    return {
        "joint": build_subwords(split, size=40, byte_fallback=False),
        "word": build_subwords(split, kind="word", lowercase=True),
        "separate": build_subwords(split, kind="word", joint=False),
    }


@pytest.fixture
def composed() -> Iterator[Callable[[list[str]], DictConfig]]:
    """Compose a configuration as the command does, and make it Hydra's current one."""
    GlobalHydra.instance().clear()

    def compose_run(overrides: list[str]) -> DictConfig:
        arguments = [*overrides, "hydra.output_subdir=null"]
        config = compose("train", spelled_out(arguments), return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        del config.hydra
        return config

    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        yield compose_run
    HydraConfig.instance().cfg = None


@pytest.fixture
def save(
    composed: Callable[[list[str]], DictConfig], pairs: dict[str, VocabularyPair], tmp_path: Path
) -> Callable[..., Path]:
    """Write a checkpoint with some settings and random weights."""

    def save_untrained(
        *overrides: str,
        vocabulary: str = "joint",
        change: Callable[[AttendingModel], None] | None = None,
    ) -> Path:
        small = ["model.hidden_size=8", "model.embedding_size=8"]
        sized = small if not any("transformer" in text for text in overrides) else []
        config = plain(composed([*sized, *overrides]))
        pair = pairs[vocabulary]
        config["model"] |= instantiate(config["task"]).model_arguments(pair)
        config["data"]["subwords"] |= {"kind": "word" if vocabulary != "joint" else "unigram"}
        config["data"]["subwords"] |= {"lowercase": vocabulary == "word"}
        model = instantiate(config["model"], _convert_="all")
        if change is not None:
            change(model)
        return save_checkpoint(tmp_path / "trained", model, pair, config)

    return save_untrained


@pytest.fixture
def begin(composed: Callable[[list[str]], DictConfig]) -> Begin:
    return lambda place, *overrides: begun(composed([f"init='{place}'", *overrides]))


SMALL_TRANSFORMER = ("model=transformer", "model.size=8", "model.heads=2", "model.dropout=0.3")


def test_the_short_form_is_that_of_the_checkpoint() -> None:
    given = ["init=runs/a", "init.freeze=[encoder]", "model.init=3"]
    assert spelled_out(given) == ["init.checkpoint=runs/a", *given[1:]]


def test_settings_of_the_model_are_the_checkpoints(save: Callable, begin: Begin) -> None:
    place = save("model.cell=gru", "model.dropout=0.5", "model.bridge=copy")
    config = begin(place, "model.dropout=0.1", "optimizer.lr=1e-4")
    assert (config.model.cell, config.model.hidden_size, config.model.bridge) == ("gru", 8, "copy")
    assert config.model.dropout == 0.1, "what the command line names is the new run's"
    assert config.optimizer.lr == 1e-4
    assert begin(place, "model.dropout=0.2").model.dropout == 0.2, "the default one too"


def test_settings_that_a_checkpoint_lacks_are_those_it_was_trained_with(
    save: Callable, begin: Begin
) -> None:
    place = save("model.input_feeding=true")
    path = place / "config.yaml"
    config = yaml.safe_load(path.read_text())
    del config["model"]["input_feeding"]  # as in a version before that setting
    path.write_text(yaml.safe_dump(config))
    assert begin(place).model.input_feeding is True


def test_the_model_is_the_checkpoints_by_default(save: Callable, begin: Begin) -> None:
    config = begin(save(*SMALL_TRANSFORMER), "attention=fusedmax")
    assert config.model["_target_"].endswith("Transformer")
    assert (config.model.size, config.model.dropout) == (8, 0.3)
    assert config.model.cross_mapping["_target_"].endswith("Fusedmax")


@pytest.mark.parametrize("choice", ["model=transformer", "experiment=multi30k_transformer"])
def test_another_model_is_refused(save: Callable, begin: Begin, choice: str) -> None:
    place = save()
    with pytest.raises(ValueError, match="has a Recurrent, but model=transformer is another"):
        begin(place, choice, "data=toy")


def test_an_experiment_that_asks_for_other_shapes_is_refused(save: Callable, begin: Begin) -> None:
    place = save(*SMALL_TRANSFORMER)
    message = (
        r"model\.size=192 \(8 in the checkpoint\).*: source_embedding\.weight is \(\d+, 8\) in the "
        r"checkpoint and \(\d+, 192\) here"
    )
    with pytest.raises(ValueError, match=message):
        begin(place, "experiment=multi30k_transformer", "data=toy")


def test_mappings_stay_unless_others_are_chosen(save: Callable, begin: Begin) -> None:
    place = save(
        *SMALL_TRANSFORMER,
        *("attention=fusedmax", "attention.lam=0.3", "attention.learn=[gamma]"),
        "attention@model.encoder_mapping=sparsemax",
    )
    kept = begin(place)
    assert kept.attention["_target_"].endswith("Fusedmax")
    assert (kept.attention.lam, kept.model.cross_mapping.learn) == (0.3, ["gamma"])
    assert kept.model.encoder_mapping["_target_"].endswith("Sparsemax")
    chosen = ("attention=softmax", "model=transformer", "attention@model.decoder_mapping=entmax15")
    other = begin(place, *chosen)
    assert other.model.cross_mapping["_target_"].endswith("Softmax")
    assert other.model.encoder_mapping["_target_"].endswith("Sparsemax")
    assert other.model.decoder_mapping["_target_"].endswith("Entmax")


def test_a_parameter_alone_changes_the_mapping_that_is_there(save: Callable, begin: Begin) -> None:
    place = save("attention.learn=[gamma]")
    assert begin(place, "attention.gamma=2").attention == {
        "_target_": "seq2seq.mappings.Softmax",
        **{"gamma": 2, "learn": ["gamma"], "per": "layer"},
    }
    place = save("attention=fusedmax")
    with pytest.raises(ValueError, match=r"attention\.gamma=2 is set for Softmax.*Fusedmax"):
        begin(place, "attention.gamma=2")
    place = save("attention@model.output_mapping=sparsemax")
    with pytest.raises(ValueError, match=r"attention@model\.output_mapping=…"):
        begin(place, "model.output_mapping.gamma=2")


def test_two_mappings_that_were_chosen_apart_stay_apart(save: Callable, begin: Begin) -> None:
    place = save(
        *("task=entailment", "model=decomposable_attention", "attention=sparsemax"),
        *("+attention@model.reverse_mapping=fusedmax", "+attention@model.intra_mapping=softmax"),
        vocabulary="word",
    )
    config = begin(place, "task=entailment")
    names = [config.model[key]["_target_"].rpartition(".")[2] for key in
             ("mapping", "reverse_mapping", "intra_mapping")]  # fmt: skip
    assert names == ["Sparsemax", "Fusedmax", "Softmax"]


def test_gamma_is_the_last_value_of_annealing(save: Callable, begin: Begin) -> None:
    def anneal(model: AttendingModel) -> None:
        model.attention_mappings()["cross"][0].set_gamma(0.7)

    config = begin(save("attention=sparsemax", "annealing=linear", change=anneal))
    assert config.attention.gamma == pytest.approx(0.7)
    assert config.model.mapping.gamma == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("vocabulary", "kind", "joint"), [("word", "word", True), ("separate", "word", False)]
)
def test_the_vocabulary_is_described_as_it_is(
    save: Callable, begin: Begin, vocabulary: str, kind: str, joint: bool
) -> None:
    config = begin(save(vocabulary=vocabulary))
    subwords = config.data.subwords
    assert (subwords.kind, subwords.joint, subwords.lowercase) == (kind, joint, joint)


def test_another_vocabulary_is_refused_and_new_pieces_are_sized(
    save: Callable, begin: Begin
) -> None:
    place = save()
    with pytest.raises(ValueError, match=r"data\.subwords\.size=100: .*init\.extend_vocabulary"):
        begin(place, "data.subwords.size=100")
    extends = "init.extend_vocabulary=true"
    assert begin(place, "data.subwords.size=100", extends).data.subwords.size == 100
    with pytest.raises(ValueError, match=r"data\.subwords\.kind=bpe: .*remove this$"):
        begin(place, "data.subwords.kind=bpe", extends)
    assert begin(place, "data.subwords.sampling.alpha=0.1").data.subwords.sampling.alpha == 0.1


def test_untrusted_settings_of_a_vocabulary_are_not_interpreted(
    save: Callable, begin: Begin
) -> None:
    place = save()
    path = place / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["data"]["subwords"] |= {"normalization": "${oc.env:HOME}", "source_model": "/etc/passwd"}
    path.write_text(yaml.safe_dump(config))
    subwords = plain(begin(place).data)["subwords"]
    assert (subwords["normalization"], subwords["source_model"]) == ("nmt_nfkc", None)


def test_classes_stay(save: Callable, begin: Begin) -> None:
    entails = ("task=entailment", "task.labels=[no,yes]")
    place = save(*entails, vocabulary="word")
    assert begin(place, "task=entailment").task.labels == ["no", "yes"]
    with pytest.raises(ValueError, match=r"\['yes', 'no'\] are not the classes"):
        begin(place, "task=entailment", "task.labels=[yes,no]")
    with pytest.raises(ValueError, match=r"cannot do Translation; add task=entailment"):
        begin(place)


def test_what_needs_a_checkpoint_says_so(composed: Callable, save: Callable) -> None:
    with pytest.raises(ValueError, match=r"init\.freeze needs a trained model"):
        begun(composed(["init.freeze=[encoder]"]))
    with pytest.raises(ValueError, match=r"init\.extend_vocabulary needs"):
        begun(composed(["init.extend_vocabulary=true"]))
    with pytest.raises(ValueError, match=r"^init=nowhere: there is no such folder"):
        begun(composed(["init=nowhere"]))
    assert begun(composed(["init=null"])).init.checkpoint is None


def test_an_experiment_may_name_the_checkpoint_shortly(composed: Callable, save: Callable) -> None:
    place = save("model.cell=gru")
    config = composed(["init.freeze=encoder"])
    config.init.checkpoint = str(place)
    assert begun(config).init.freeze == ["encoder"], "one part need not be a list"
    config.init = str(place)
    assert begun(config).model.cell == "gru"


FAST = ("trainer.max_steps=6", "validation.every_n_steps=2", "validation.heat_maps=0")
OTHER = (
    *(text for text in SMALL if "model" not in text and "subwords" not in text),
    *("data.corpus.seed=2", "trainer.accelerator=cpu", *FAST),
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Train a run `base` in a folder."""
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQ2SEQ_CACHE", str(folder / "cache"))
        few = ("trainer.max_steps=2", *FAST[1:], "trainer.accelerator=cpu")
        result = forked("train", *SMALL, *few, "hydra.run.dir=base", cwd=folder)
        assert result.returncode == 0, result.stderr
        yield folder


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return load_file(str(run / "checkpoints" / name / "model.safetensors"))


@pytest.mark.e2e
@pytest.mark.slow
def test_a_killed_run_goes_on_exactly_without_the_checkpoint_it_began_from(work: Path) -> None:
    shutil.copytree(work / "base", work / "gone")
    settings = (
        *("attention=fusedmax", "attention.learn=[gamma]", "init.freeze=[encoder]", *OTHER),
        *("init.extend_vocabulary=true", "data.subwords.size=700", "optimizer=adamw"),
    )
    whole = forked("train", "init=base", *settings, "hydra.run.dir=whole", cwd=work)
    assert whole.returncode == 0, whole.stderr
    assert "parameters taken; new: " in whole.stderr
    assert "frozen: encoder" in whole.stderr
    kill = At("seq2seq.training.state_file:StateFile.save_checkpoint", call=3)
    arguments = ("init=gone", *settings, "hydra.run.dir=killed")
    assert forked("train", *arguments, cwd=work, before=kill).returncode == -9
    shutil.rmtree(work / "gone")
    resumed = forked("train", "resume=killed", cwd=work)
    assert resumed.returncode == 0, resumed.stderr
    expected, found, base = (weights(work / run) for run in ("whole", "killed", "base"))
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
        if name.startswith("encoder."):
            assert torch.equal(tensor, base[name]), "frozen"
    old = load_checkpoint(work / "base").subwords.source
    new = load_checkpoint(work / "killed")
    assert new.subwords.source.pieces(range(old.size)) == old.pieces(range(old.size))
    assert new.subwords.source.size > old.size
    assert new.model.attention_mappings()["cross"][0].learned()


@pytest.mark.e2e
@pytest.mark.slow
def test_a_run_begins_from_the_hub(work: Path) -> None:
    commit, home = "0" * 40, work / "huggingface"
    repository = home / "hub" / "models--me--model"
    shutil.copytree(work / "base" / "checkpoints" / "best", repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "v1").write_text(commit)
    offline = {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    once = (*OTHER, "trainer.max_steps=1", "test.split=null", "optimizer.lr=0")
    arguments = ("init=hub:me/model@v1", *once, "schedule=constant", "hydra.run.dir=fetched")
    # From cold: huggingface_hub reads its environment when it is imported.
    result = cold("train", *arguments, cwd=work, environment=offline)
    assert result.returncode == 0, result.stderr
    for name, tensor in weights(work / "base", "best").items():
        assert torch.equal(weights(work / "fetched")[name], tensor), "nothing was learned"
    refused = forked("train", "init=hub:me/other", *once, cwd=work)
    assert refused.returncode == 1
    assert "error: init=hub:me/other: it was not fetched before" in refused.stderr


@pytest.mark.e2e
@pytest.mark.slow
def test_a_sweep_begins_from_one_checkpoint_with_several_mappings(work: Path) -> None:
    swept = ("-m", "init=base", "attention=softmax,sparsemax", *OTHER, "trainer.max_steps=1")
    result = forked("train", *swept, "hydra.sweep.dir=swept", cwd=work)
    assert result.returncode == 0, result.stderr
    for number, name in enumerate(("Softmax", "Sparsemax")):
        record = yaml.safe_load((work / "swept" / str(number) / ".hydra/config.yaml").read_text())
        assert record["attention"]["_target_"].endswith(name)
        assert record["model"]["hidden_size"] == 24, "as the checkpoint has it"
        assert record["model"]["mapping"] == "${attention}", "Hydra's record stays unresolved"
