import io
import tarfile
import zipfile

import pytest

from seq2seq.data import DataError
from seq2seq.data.unpacking import damage, unpack

TEXT = b"a line\n" * 2000


def tar(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            if isinstance(member, str):
                member = tarfile.TarInfo(member)
                member.size = len(TEXT)
            archive.addfile(member, io.BytesIO(TEXT))
    return path


def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zipped(path, *names):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, TEXT)
    return path


@pytest.fixture(params=["a.tgz", "a.zip"])
def archive(request, tmp_path):
    make = tar if request.param == "a.tgz" else zipped
    return lambda *names: make(tmp_path / request.param, *names)


def test_the_files_asked_for_are_unpacked(archive, tmp_path):
    packed = archive("training/a.fr-en.fr", "training/a.fr-en.en", "training/a.cs-en.cs")
    paths = unpack(packed, tmp_path / "raw", ["training/*.fr-en.*"])
    assert [p.relative_to(tmp_path / "raw").as_posix() for p in paths] == [
        "training/a.fr-en.fr",
        "training/a.fr-en.en",
    ]
    assert all(path.read_bytes() == TEXT for path in paths)
    assert len([p for p in (tmp_path / "raw").rglob("*") if p.is_file()]) == 2


def test_complete_corpora_are_kept_and_incomplete_ones_are_made_again(archive, tmp_path):
    packed = archive("a", "b")
    a, b = unpack(packed, tmp_path / "raw")
    b.write_bytes(TEXT[:10])
    before = a.stat().st_mtime_ns
    unpack(packed, tmp_path / "raw")
    assert (a.stat().st_mtime_ns, b.read_bytes()) == (before, TEXT)


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/out", "..\\out", "C:/out", "C:out"])
def test_names_that_lead_out_of_the_folder_are_refused(archive, tmp_path, name):
    with pytest.raises(DataError, match="would leave its folder"):
        unpack(archive(name), tmp_path / "raw")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_never_made(tmp_path, kind):
    packed = tar(tmp_path / "a.tgz", link("raw", "/", kind), "good")
    paths = unpack(packed, tmp_path / "raw")
    assert [path.name for path in paths] == ["good"]
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["good"]


def test_symbolic_links_in_zip_archives_are_never_made(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
        archive.writestr("good", TEXT)
    assert [p.name for p in unpack(tmp_path / "a.zip", tmp_path / "raw")] == ["good"]


def test_more_than_is_allowed_is_not_written(archive, tmp_path):
    packed = archive("a", "b")
    with pytest.raises(DataError, match=r"unpacks to more than 20,000 bytes"):
        unpack(packed, tmp_path / "raw", most_bytes=20_000)
    assert sum(p.stat().st_size for p in (tmp_path / "raw").iterdir()) <= 20_000


def test_a_pattern_without_a_file_is_named(archive, tmp_path):
    with pytest.raises(DataError, match=r"has no file \*\.de"):
        unpack(archive("a.en"), tmp_path / "raw", ["*.en", "*.de"])


def test_damage_is_found(archive, tmp_path):
    packed = archive("a", "b")
    assert damage(packed, packed.name) == ""
    content = packed.read_bytes()
    for spoilt in (content[: len(content) // 2], content[:60] + bytes(20) + content[80:]):
        packed.write_bytes(spoilt)
        assert damage(packed, packed.name)
        with pytest.raises(DataError, match="is damaged"):
            unpack(packed, tmp_path / "raw")
