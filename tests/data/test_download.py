"""Downloads from a real HTTP server on this machine."""

import gzip
import hashlib
import os
import subprocess

import pytest

from seq2seq.data.download import DownloadError, RemoteFile, fetch

CONTENT = os.urandom(100_000)
PACKED = gzip.compress(os.urandom(100_000))


@pytest.fixture
def server(file_server):
    file_server.content = {"a.bin": CONTENT, "b.gz": PACKED, "c.txt": b"plain text\n" * 1000}
    return file_server


def known(server, name="a.bin"):
    content = server.content[name]
    digest = hashlib.sha256(content).hexdigest()
    return RemoteFile(f"{server.url}/{name}", len(content), digest)


def unknown(server, name):
    return RemoteFile(f"{server.url}/{name}")


def test_an_interrupted_download_resumes(server, tmp_path):
    server.faults["a.bin"] = "cut"
    (path,) = fetch([known(server)], tmp_path)
    assert server.requests == [("a.bin", 0), ("a.bin", 50_000)]
    assert path.read_bytes() == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_what_an_earlier_run_left_is_used(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:70_000])
    (path,) = fetch([known(server)], tmp_path)
    assert server.requests == [("a.bin", 70_000)]
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("rest", [b"wrong", b"too long" * 100_000, bytes(100_000)])
@pytest.mark.parametrize("name", ["a.bin", "b.gz"])
def test_wrong_remains_of_an_earlier_run_do_not_spoil_the_file(server, tmp_path, rest, name):
    (tmp_path / f"{name}.part").write_bytes(rest)
    (path,) = fetch([known(server) if name == "a.bin" else unknown(server, name)], tmp_path)
    assert path.read_bytes() == server.content[name]


def test_corrupted_download_is_fetched_again(server, tmp_path):
    server.faults = {"a.bin": "corrupt", "b.gz": "corrupt"}
    paths = fetch([known(server), unknown(server, "b.gz")], tmp_path)
    assert [path.read_bytes() for path in paths] == [CONTENT, PACKED]


def test_file_that_stays_corrupt_never_gets_its_name(server, tmp_path):
    file = known(server)
    server.content["a.bin"] = bytes(100_000)
    with pytest.raises(DownloadError, match="its content is not the expected one"):
        fetch([file], tmp_path)
    assert not (tmp_path / "a.bin").exists()


def test_wrong_file_in_place_is_replaced_and_a_right_one_kept(server, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"something else")
    fetch([known(server)], tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    server.requests.clear()
    fetch([known(server)], tmp_path)
    assert server.requests == []


def test_first_download_is_recorded_and_later_runs_verify_by_it(server, tmp_path):
    (path,) = fetch([unknown(server, "b.gz")], tmp_path)
    checked = subprocess.run(["sha256sum", "-c", "b.gz.sha256"], cwd=tmp_path, check=False)
    assert checked.returncode == 0
    server.requests.clear()
    fetch([unknown(server, "b.gz")], tmp_path)
    assert server.requests == []
    path.write_bytes(b"damaged later")
    fetch([unknown(server, "b.gz")], tmp_path)
    assert path.read_bytes() == PACKED


def test_content_other_than_that_of_the_first_download_is_refused(server, tmp_path):
    (path,) = fetch([unknown(server, "b.gz")], tmp_path)
    path.unlink()
    server.content["b.gz"] = gzip.compress(b"another text")
    with pytest.raises(DownloadError, match=r"first download, .*b\.gz\.sha256; delete that file"):
        fetch([unknown(server, "b.gz")], tmp_path)
    (tmp_path / "b.gz.sha256").unlink()
    assert fetch([unknown(server, "b.gz")], tmp_path) == [path]


def test_a_file_added_by_hand_is_recorded_if_it_is_complete(server, tmp_path):
    (tmp_path / "b.gz").write_bytes(PACKED)
    fetch([unknown(server, "b.gz")], tmp_path)
    assert server.requests == []
    (tmp_path / "b.gz.sha256").unlink()
    (tmp_path / "b.gz").write_bytes(PACKED[:-1000])
    fetch([unknown(server, "b.gz")], tmp_path)
    assert (tmp_path / "b.gz").read_bytes() == PACKED


def test_half_of_a_file_that_nothing_verifies_is_not_completed(server, tmp_path):
    (tmp_path / "c.txt.part").write_bytes(b"half of an older version")
    (path,) = fetch([unknown(server, "c.txt")], tmp_path)
    assert path.read_bytes() == server.content["c.txt"]


def test_connection_that_closes_early_is_noticed_without_a_published_size(server, tmp_path):
    server.faults["c.txt"] = "cut"
    (path,) = fetch([unknown(server, "c.txt")], tmp_path)
    assert path.read_bytes() == server.content["c.txt"]


def test_what_cannot_be_had_is_named_with_its_place(server, tmp_path):
    with pytest.raises(DownloadError) as refused:
        fetch([unknown(server, "d.gz")], tmp_path)
    assert f"{server.url}/d.gz could not be downloaded: Not Found" in str(refused.value)
    assert f"put it at {tmp_path / 'd.gz'}" in str(refused.value)


def test_a_mirror_has_the_same_names(server, tmp_path):
    file = RemoteFile("http://127.0.0.1:9/elsewhere/b.gz?download=1")
    assert fetch([file], tmp_path, mirror=f"{server.url}/") == [tmp_path / "b.gz"]


@pytest.mark.parametrize("url", ["http://x/", "http://x/%2e%2e", "http://x/a%2fb"])
def test_a_url_that_names_no_file_is_refused(url):
    with pytest.raises(ValueError, match="does not end in a file name"):
        RemoteFile(url)
