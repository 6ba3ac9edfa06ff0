"""The scripts write the files that configs/data reads; with a real HTTP server."""

import gzip
import importlib.util
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

REPOSITORY = Path(__file__).parents[2]


def script(name):
    path = REPOSITORY / "scripts" / f"{name}.py"
    specification = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def corpus(*overrides):
    with initialize_config_dir(str(REPOSITORY / "configs"), version_base="1.3"):
        config = compose(overrides=["+data=" + overrides[0], *overrides[1:]])
    return instantiate(config.data.corpus)


def texts(split, side="source"):
    return split[side][:]


def tar(files, mode="w:gz"):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:
        for name, text in files.items():
            data = text if isinstance(text, bytes) else text.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


def lines(word, count, first=0):
    return "".join(f"{word} {k}\n" for k in range(first, first + count))


def segments(word, count):
    return "<doc>\n" + "".join(f'<seg id="{k}">{word} {k} &amp;</seg>\n' for k in range(count))


@pytest.fixture
def wmt14(file_server):
    def both(name, text):
        return {f"{name}.{x}": text(x) for x in ("fr", "en")}

    file_server.content = {
        "training-parallel-europarl-v7.tgz": tar(
            both("training/europarl-v7.fr-en", lambda x: lines(f"europarl {x}", 4))
            | both("training/europarl-v7.cs-en", lambda x: lines("other", 4))
        ),
        "training-parallel-commoncrawl.tgz": tar(
            both("commoncrawl.fr-en", lambda x: lines(f"crawl {x}", 3))
        ),
        "training-parallel-un.tgz": tar(both("un/undoc.2000.fr-en", lambda x: lines(f"un {x}", 2))),
        "training-parallel-nc-v9.tgz": tar(
            both("training/news-commentary-v9.fr-en", lambda x: lines(f"news {x}", 2))
        ),
        "training-giga-fren.tar": tar(
            {
                f"giga-fren.release2.fixed.{x}.gz": gzip.compress(lines(f"giga {x}", 5).encode())
                for x in ("fr", "en")
            },
            mode="w",
        ),
        "dev.tgz": tar(both("dev/newstest2013", lambda x: lines(f"dev {x}", 3))),
        "test-full.tgz": tar(
            {
                f"test-full/newstest2014-fren-{kind}.{x}.sgm": segments(f"test {x}", 3)
                for kind in ("src", "ref")
                for x in ("fr", "en")
            }
        ),
    }
    return file_server


@pytest.mark.parametrize(("source", "target"), [("fr", "en"), ("en", "fr")])
def test_wmt14(wmt14, tmp_path, source, target):
    main = script("prepare_wmt14_fr_en").main
    assert main(["--root", str(tmp_path), "--mirror", wmt14.url]) == 0
    languages = [f"data.source_language={source}", f"data.target_language={target}"]
    splits = corpus("wmt14_fr_en", f"data.root={tmp_path}", *languages).load()
    train = splits["train"]
    assert len(train) == 4 + 3 + 2 + 2 + 5
    assert {text.split()[1] for text in texts(train)} == {source}
    pairs = zip(texts(train), texts(train, "target"), strict=True)
    assert all(s.replace(f" {source} ", f" {target} ") == t for s, t in pairs)
    assert texts(splits["test"], "target")[1] == f"test {target} 1 &"
    assert texts(splits["validation"]) == [f"dev {source} {k}" for k in range(3)]


def test_parts_of_wmt14(wmt14, tmp_path):
    main = script("prepare_wmt14_fr_en").main
    arguments = ["--root", str(tmp_path), "--mirror", wmt14.url, "--parts", "europarl,giga"]
    assert main(arguments) == 0
    assert len(corpus("wmt14_fr_en", f"data.root={tmp_path}").load()["train"]) == 9
    wmt14.requests.clear()
    assert main(arguments) == 0
    assert wmt14.requests == []


def test_iwslt14(file_server, tmp_path):
    def train(language):
        text = "<url>http://x</url>\n<keywords>a, b</keywords>\n<talkid>1</talkid>\n"
        text += f"<title>title {language}</title>\n<description>about {language}</description>\n"
        return text + "".join(f" line {language} {k} \n" for k in range(44))

    tests = ("TED.dev2010", "TEDX.dev2012", "TED.tst2010", "TED.tst2011", "TED.tst2012")
    file_server.content["de-en.tgz"] = tar(
        {f"de-en/train.tags.de-en.{x}": train(x) for x in ("de", "en")}
        | {
            f"de-en/IWSLT14.{name}.de-en.{x}.xml": segments(f"{name} {x}", 2)
            for name in tests
            for x in ("de", "en")
        }
    )
    main = script("prepare_iwslt14_de_en").main
    assert main(["--root", str(tmp_path), "--mirror", file_server.url]) == 0
    splits = corpus("iwslt14_de_en", f"data.root={tmp_path}").load()
    assert texts(splits["validation"]) == ["line de 20", "line de 43"]  # lines 23 and 46
    assert texts(splits["train"])[:3] == ["title de", "about de", "line de 0"]
    assert len(splits["train"]) == 44
    expected = [f"{name} en {k} &" for name in tests for k in range(2)]
    assert texts(splits["test"], "target") == expected


@pytest.mark.parametrize("pair", ["de-en", "en-de"])
def test_opus(file_server, tmp_path, pair):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("README", "about")
        for language in ("de", "en"):
            archive.writestr(f"Books.de-en.{language}", lines(language, 100))
    file_server.content["de-en.txt.zip"] = content.getvalue()
    main = script("prepare_opus").main
    arguments = ["Books", "v1", pair, "--root", str(tmp_path), "--held-out", "10"]
    assert main([*arguments, "--mirror", file_server.url]) == 0
    source, target = pair.split("-")
    splits = corpus(
        "opus", "data.name=Books", f"data.root={tmp_path}",
        f"data.source_language={source}", f"data.target_language={target}",
    ).load()  # fmt: skip
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 80,
        "validation": 10,
        "test": 10,
    }
    assert texts(splits["test"])[0] == f"{source} 5"
    everything = sorted(text for split in splits.values() for text in texts(split, "target"))
    assert everything == sorted(lines(target, 100).splitlines())


def test_a_corpus_that_is_not_there_says_how_to_get_it(tmp_path):
    languages = ["data.source_language=de", "data.target_language=en"]
    for arguments, command in (
        (["wmt14_fr_en"], f"python scripts/prepare_wmt14_fr_en.py --root {tmp_path}"),
        (["iwslt14_de_en"], f"python scripts/prepare_iwslt14_de_en.py --root {tmp_path}"),
        (
            ["opus", "data.name=Books", *languages],
            "python scripts/prepare_opus.py Books VERSION de-en",
        ),
    ):
        with pytest.raises(ValueError, match=command):
            corpus(*arguments, f"data.root={tmp_path}").load()


@pytest.mark.parametrize("name", ["wmt14_fr_en", "iwslt14_de_en"])
def test_offline_names_the_file_and_its_place(name, file_server, tmp_path, capsys):
    main = script(f"prepare_{name}").main
    assert main(["--root", str(tmp_path), "--mirror", "http://127.0.0.1:9"]) == 1
    assert f"put it at {tmp_path}" in capsys.readouterr().err
