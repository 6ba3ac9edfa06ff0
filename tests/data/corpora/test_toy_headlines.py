"""Properties of the toy corpus of headlines."""

import subprocess
import sys

import pytest

from seq2seq.data.corpora.toy_headlines import ToyHeadlines

SIZES = {"train_size": 1500, "validation_size": 100, "test_size": 150}


@pytest.fixture(scope="module")
def corpus():
    return ToyHeadlines(**SIZES).load()


def links(row):
    return [tuple(map(int, link.split("-"))) for link in row["alignment"].split()]


def test_splits_have_their_sizes_and_share_no_article(corpus):
    assert {name: len(split) for name, split in corpus.items()} == {
        "train": 1500,
        "validation": 100,
        "test": 150,
    }
    articles = [text for split in corpus.values() for text in split["source"]]
    assert len(set(articles)) == len(articles)


def test_a_headline_is_much_shorter_and_all_of_it_comes_from_the_article(corpus):
    for row in corpus["train"]:
        article, headline = row["source"].split(), row["target"].split()
        assert 9 <= len(article) <= 35
        assert 3 <= len(headline) < len(article) - 2
        # Every word of the headline is aligned once, with a word that precedes the final point.
        assert sorted(j for _, j in links(row)) == list(range(len(headline)))
        assert all(i < len(article) - 1 for i, _ in links(row))


def test_names_figures_and_nouns_are_copied_and_only_verbs_change(corpus):
    changed = 0
    for row in corpus["train"]:
        article, headline = row["source"].split(), row["target"].split()
        pairs = [(article[i], headline[j]) for i, j in links(row)]
        for word, told in pairs:
            if word[0].isupper() or word.isdigit():
                assert told == word
        others = [pair for pair in pairs if pair[0] != pair[1]]
        assert len(others) <= 2  # `will be bought`: `to buy`
        changed += bool(others)
    assert changed > 1000


def test_no_determiner_or_time_reaches_a_headline(corpus):
    words = {word for text in corpus["train"]["target"] for word in text.split()}
    assert not words & {"the", "a", "an", "this", "some", "many", ".", ",", "said", "yesterday"}


def test_passives_put_the_actor_first(corpus):
    crossed = [
        row
        for row in corpus["train"]
        if [j for _, j in links(row)] != sorted(j for _, j in links(row))
    ]
    assert 0.15 < len(crossed) / len(corpus["train"]) < 0.45
    assert all(" by " in row["source"] for row in crossed)


def test_a_seed_draws_the_same_pairs_in_every_process(corpus):
    script = (
        "from seq2seq.data.corpora.toy_headlines import ToyHeadlines\n"
        f"print(list(ToyHeadlines(**{SIZES}).load()['test']) )"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert output.stdout.decode().strip() == str(list(corpus["test"]))
    other = ToyHeadlines(seed=2, **SIZES).load()
    assert other["test"]["source"][:] != corpus["test"]["source"][:]


def test_more_training_leaves_validation_and_test_as_they_are(corpus):
    larger = ToyHeadlines(**SIZES | {"train_size": 1600}).load()
    assert list(larger["test"]) == list(corpus["test"])
    assert list(larger["train"])[:1500] == list(corpus["train"])


def test_a_larger_tail_brings_more_rare_words(corpus):
    longer = ToyHeadlines(**SIZES, tail={"share": 0.5}).load()

    def kinds(split):
        return len({word for text in split["target"] for word in text.split()})

    assert kinds(longer["train"]) > 1.2 * kinds(corpus["train"])


def test_impossible_arguments_are_reported():
    with pytest.raises(ValueError, match="train_size is 0"):
        ToyHeadlines(train_size=0)
    with pytest.raises(ValueError, match="tail has no length"):
        ToyHeadlines(tail={"length": 3})
