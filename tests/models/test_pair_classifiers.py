"""Classifiers of sentence pairs: padding, neighbors, gradients, and the papers' formulas."""

import pytest
import torch
from torch import nn

from seq2seq.mappings import ConstrainedSoftmax, Fusedmax, Oscarmax, Softmax, Sparsemax
from seq2seq.models import DecomposableAttention, RecurrentClassifier
from seq2seq.nn.embedding import ProjectedEmbedding

LABELS = ("entailment", "neutral", "contradiction")
MAPPINGS = {
    "softmax": Softmax,
    "sparsemax": Sparsemax,
    "fusedmax": lambda: Fusedmax(gamma=0.1, lam=0.02),
    "oscarmax": lambda: Oscarmax(gamma=0.1, lam=0.01),
    "learned": lambda: Fusedmax(0.1, 0.01, learn=["gamma", "lam"]),
    "constrained": lambda: ConstrainedSoftmax(0.6),
}
ANYWHERE = [name for name in MAPPINGS if name != "constrained"]


def recurrent(mapping="softmax", **options):
    torch.manual_seed(0)
    sizes = {"embedding_size": 5, "hidden_size": 6, "mapping": MAPPINGS[mapping]()}
    return RecurrentClassifier(29, 29, LABELS, **(sizes | options)).double().eval()


def decomposable(name="softmax", **options):
    torch.manual_seed(0)
    plugs = {f"{place}mapping": MAPPINGS[name]() for place in ("", "reverse_")}
    sizes = {"embedding_size": 5, "hidden_size": 16}
    return DecomposableAttention(29, 29, LABELS, **(plugs | sizes | options)).double().eval()


VARIANTS = {
    **{f"recurrent {m}": lambda m=m: recurrent(m) for m in MAPPINGS},
    "lstm": lambda: recurrent(cell="lstm", conditional=True, layers=2),
    "bidirectional": lambda: recurrent(bidirectional=True, conditional=True, score="additive"),
    "shared": lambda: recurrent(shared=True, score="dot"),
    **{f"decomposable {m}": lambda m=m: decomposable(m) for m in ANYWHERE},
    "differences": lambda: recurrent("sparsemax", differences=True),
    "words by difference": lambda: decomposable("sparsemax", differences=True),
    "intra": lambda: decomposable(intra_mapping=Sparsemax()),
    **{f"relative recurrent {m}": lambda m=m: recurrent(m, strength="relative") for m in MAPPINGS},
    **{
        f"relative decomposable {m}": lambda m=m: decomposable(
            m, strength="relative", intra_mapping=Sparsemax()
        )
        for m in ANYWHERE
    },
    "output": lambda: decomposable(output_mapping=Sparsemax()),
}


@pytest.fixture(params=VARIANTS)
def model(request):
    return VARIANTS[request.param]()


PREMISE = torch.tensor([[4, 5, 6, 7, 3], [8, 9, 3, 0, 0], [10, 11, 12, 3, 0]])
PREMISE_LENGTHS = torch.tensor([5, 3, 4])
HYPOTHESIS = torch.tensor([[5, 4, 3, 0], [13, 3, 0, 0], [14, 15, 16, 3]])
HYPOTHESIS_LENGTHS = torch.tensor([3, 2, 4])
BATCH = (PREMISE, PREMISE_LENGTHS, HYPOTHESIS, HYPOTHESIS_LENGTHS)


def test_padding_and_neighbors_change_nothing(model):
    whole = model(*BATCH, return_attention=True)
    for row in range(3):
        n, m = int(PREMISE_LENGTHS[row]), int(HYPOTHESIS_LENGTHS[row])
        alone = model(
            PREMISE[row : row + 1, :n],
            PREMISE_LENGTHS[row : row + 1],
            HYPOTHESIS[row : row + 1, :m],
            HYPOTHESIS_LENGTHS[row : row + 1],
            return_attention=True,
        )
        torch.testing.assert_close(whole.logits[row], alone.logits[0])
        queries = alone.attention.size(3)
        torch.testing.assert_close(whole.attention[row, :, :, :queries, :n], alone.attention[0])
        assert (whole.attention[row, ..., n:] == 0).all()
    filled = PREMISE.clone()
    filled[PREMISE == 0] = 20
    torch.testing.assert_close(
        model(filled, PREMISE_LENGTHS, HYPOTHESIS, HYPOTHESIS_LENGTHS).logits, whole.logits
    )
    filled = HYPOTHESIS.clone()
    filled[HYPOTHESIS == 0] = 20
    torch.testing.assert_close(
        model(PREMISE, PREMISE_LENGTHS, filled, HYPOTHESIS_LENGTHS).logits, whole.logits
    )


def test_attention_sums_to_one_and_comes_only_when_asked_for(model):
    assert model(*BATCH).attention is None
    found = model(*BATCH, return_attention=True)
    assert found.logits.shape == (3, 3)
    sums = found.attention.sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums))
    if found.reverse is not None:
        assert found.reverse.shape == (3, 1, 1, 5, 4)
        assert found.attention.shape == (3, 1, 1, 4, 5)


def test_both_sentences_matter(model):
    logits = model(*BATCH).logits
    other = PREMISE.clone()
    other[0, 0] = 21
    assert not torch.allclose(
        model(other, PREMISE_LENGTHS, HYPOTHESIS, HYPOTHESIS_LENGTHS).logits[0], logits[0]
    )
    other = HYPOTHESIS.clone()
    other[0, 0] = 21
    assert not torch.allclose(
        model(PREMISE, PREMISE_LENGTHS, other, HYPOTHESIS_LENGTHS).logits[0], logits[0]
    )


def test_gradients_are_those_of_finite_differences(model):
    labels = torch.tensor([0, 2, 1])

    def loss():
        return model.output_mapping.loss(model(*BATCH).logits, labels).sum()

    loss().backward()
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        index = int(torch.randint(parameter.numel(), (), generator=generator))
        if parameter.grad is None:
            pytest.fail(f"{name} has no gradient")
        with torch.no_grad():
            flat, h = parameter.view(-1), 1e-6
            start = flat[index].item()
            values = []
            for step in (h, -h):
                flat[index] = start + step
                values.append(loss().item())
            flat[index] = start
        numeric = (values[0] - values[1]) / (2 * h)
        assert parameter.grad.view(-1)[index].item() == pytest.approx(numeric, abs=1e-6), name


def test_decomposable_attention_is_the_formula_of_the_paper():
    model = decomposable("sparsemax")
    n, m = 4, 3  # the third premise, the first hypothesis: no padding
    premise, hypothesis = PREMISE[2:, :n], HYPOTHESIS[:1, :m]
    found = model(premise, torch.tensor([n]), hypothesis, torch.tensor([m]), return_attention=True)
    words = model.embedding.table.weight @ model.embedding.projection.weight.T
    a, b = words[premise[0]], words[hypothesis[0]]

    def network(x, layers):
        return torch.relu(
            torch.relu(x @ layers[1].weight.T + layers[1].bias) @ layers[4].weight.T
            + layers[4].bias
        )

    e = torch.einsum("id,jd->ij", network(a, model.attend), network(b, model.attend))
    alpha = torch.stack([Sparsemax()(e[:, j]) for j in range(m)])
    beta = torch.stack([Sparsemax()(e[i]) for i in range(n)])
    torch.testing.assert_close(found.attention[0, 0, 0], alpha)
    torch.testing.assert_close(found.reverse[0, 0, 0], beta)
    u = network(torch.cat([a, torch.einsum("ij,jd->id", beta, b)], 1), model.compare)
    v = network(torch.cat([b, torch.einsum("ji,id->jd", alpha, a)], 1), model.compare)
    joined = network(torch.cat([u.sum(0), v.sum(0)]), model.aggregate)
    torch.testing.assert_close(found.logits[0], joined @ model.output.weight.T + model.output.bias)


def test_recurrent_classifier_is_its_formula():
    model = recurrent("sparsemax", score="general")
    n, m = 5, 3
    words = model.embedding.table.weight @ model.embedding.projection.weight.T
    states, _ = model.premise_encoder.network(words[PREMISE[0, :n]])
    _, last = model.hypothesis_encoder.network(words[HYPOTHESIS[0, :m]])
    query, attention = last[0], model.attention
    weights = Sparsemax()(states @ attention.score.projection.weight.T @ query)
    joined = torch.tanh(
        attention.context.weight @ (weights @ states) + attention.query.weight @ query
    )
    expected = model.output.weight @ joined + model.output.bias
    found = model(*BATCH, return_attention=True)
    torch.testing.assert_close(found.logits[0], expected)
    torch.testing.assert_close(found.attention[0, 0, 0, 0], weights)


def test_differences_are_scored_beside_the_joined_state():
    model = recurrent("sparsemax", score="general", differences=True)
    words = model.embedding.table.weight @ model.embedding.projection.weight.T
    states, _ = model.premise_encoder.network(words[PREMISE[0]])
    _, last = model.hypothesis_encoder.network(words[HYPOTHESIS[0, :3]])
    query, attention = last[0], model.attention
    weights = Sparsemax()(states @ attention.score.projection.weight.T @ query)
    context = weights @ states
    joined = torch.tanh(attention.context.weight @ context + attention.query.weight @ query)
    scored = torch.cat([joined, (context - query).abs(), context * query])
    expected = model.output.weight @ scored + model.output.bias
    torch.testing.assert_close(model(*BATCH).logits[0], expected)


def test_conditional_reading_begins_where_the_premise_ended():
    model = recurrent(conditional=True, cell="lstm", layers=2, bidirectional=True)
    words = model.embedding.table.weight @ model.embedding.projection.weight.T
    _, state = model.premise_encoder.network(words[PREMISE[0]])
    _, (last, _) = model.hypothesis_encoder.network(words[HYPOTHESIS[0, :3]], state)
    queries = []
    model.attention.register_forward_hook(lambda _, inputs, output: queries.append(inputs[0]))
    model(*BATCH)
    torch.testing.assert_close(queries[0][0, 0], last[-2:].flatten())


@pytest.mark.parametrize("place", ["mapping", "reverse_mapping", "intra_mapping"])
def test_bounds_over_steps_are_refused_where_there_are_no_steps(place):
    with pytest.raises(ValueError, match=f"^{place}=ConstrainedSoftmax bounds the sum"):
        decomposable(**{place: ConstrainedSoftmax(0.6)})


def test_two_vocabularies_and_too_few_labels_are_refused():
    with pytest.raises(ValueError, match="need one vocabulary"):
        RecurrentClassifier(29, 30, LABELS, mapping=Softmax())
    with pytest.raises(ValueError, match="must be at least two names, all different"):
        RecurrentClassifier(29, 29, ["a", "a"], mapping=Softmax())


def test_pretrained_vectors_fill_the_known_words_and_may_be_frozen():
    embedding = ProjectedEmbedding(6, 4, 3, 0, dropout=0.0, freeze=True)
    vectors = torch.arange(24.0).view(6, 4)
    known = torch.tensor([False, False, False, False, True, True])
    embedding.load_vectors(vectors, known)
    torch.testing.assert_close(embedding.table.weight[4:], vectors[4:])
    assert not torch.equal(embedding.table.weight[3], vectors[3])
    assert embedding.table.weight[3].norm() > 1  # of the scale of those given
    assert (embedding.table.weight[0] == 0).all()
    trained = [name for name, p in embedding.named_parameters() if p.requires_grad]
    assert trained == ["projection.weight"]
    with pytest.raises(ValueError, match=r"set model\.embedding_size=5"):
        embedding.load_vectors(torch.zeros(6, 5), known)


def test_mappings_learn_their_own_parameters():
    model = decomposable("learned", intra_mapping=Sparsemax())
    mappings = model.attention_mappings()
    assert [*mappings] == ["cross", "reverse", "intra"]
    assert mappings["cross"][0].tensors().keys() == {"gamma", "lam"}
    parameters = {name for name, _ in model.named_parameters()}
    assert {n.split(".")[0] for n in parameters if "mapping" in n} == {"mapping", "reverse_mapping"}
    assert isinstance(model, nn.Module)
