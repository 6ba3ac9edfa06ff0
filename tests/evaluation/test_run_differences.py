import pytest

from seq2seq.evaluation.run_differences import differences, shown_by


def config(mapping: str, seed: int = 1, model: str = "Recurrent", rate: float = 0.1, **arguments):
    attention = {"_target_": f"seq2seq.mappings.{mapping}", "gamma": 1.0, **arguments}
    return {
        "seed": seed,
        "attention": attention,
        "model": {"_target_": f"seq2seq.models.{model}", "mapping": attention, "size": 3},
        "optimizer": {"_target_": "torch.optim.AdamW", "lr": rate},
        "data": {"cache": f"/cache/{seed}"},
    }


def test_a_mapping_is_named_once_though_the_model_repeats_it():
    assert differences([config("Softmax"), config("ConstrainedSoftmax", 2, fertility=2)]) == {
        "attention": ["softmax", "constrained_softmax"]
    }


def test_arguments_are_keys_where_equal_mappings_differ_in_them():
    runs = [config("Softmax"), config("Fusedmax", lam=0.1), config("Fusedmax", lam=0.2)]
    assert differences(runs) == {
        "attention": ["softmax", "fusedmax", "fusedmax"],
        "attention.lam": ["–", "0.1", "0.2"],
    }


def test_what_goes_along_with_the_mapping_is_not_hidden():
    runs = [config("Softmax"), config("Sparsemax", rate=0.2)]
    assert differences(runs) == {
        "attention": ["softmax", "sparsemax"],
        "optimizer.lr": ["0.1", "0.2"],
    }


def test_models_and_mappings_cross():
    runs = [config(a, model=m) for m in ("Recurrent", "Transformer") for a in ("Softmax", "Entmax")]
    assert differences(runs) == {
        "attention": ["softmax", "entmax", "softmax", "entmax"],
        "model": ["recurrent", "recurrent", "transformer", "transformer"],
    }


def test_seeds_and_caches_are_no_difference():
    assert differences([config("Softmax", 1), config("Softmax", 2)]) == {}
    assert differences([config("Softmax")]) == {}


def test_a_missing_key_is_a_difference():
    with_it, without = {"a": {"x": 1}}, {"a": {}}
    assert differences([with_it, without]) == {"a.x": ["1", "–"]}


def test_the_user_may_name_the_keys():
    runs = [config("Softmax", 1), config("Fusedmax", 2)]
    assert shown_by(runs, ["seed", "attention"]) == {
        "seed": ["1", "2"],
        "attention": ["softmax", "fusedmax"],
    }
    with pytest.raises(ValueError, match=r"by=attenton: no run has this key; .*attention"):
        shown_by(runs, ["attenton"])
