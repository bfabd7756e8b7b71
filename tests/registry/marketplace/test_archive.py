"""Archives of strangers: what is unpacked, and what is refused before anything leaves the folder."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from registry.marketplace.archive import ArchiveError, ArchiveLimits, unpack


def make_zip(path: Path, members: dict[str, bytes], modes: dict[str, int] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (modes or {}).get(name, stat.S_IFREG | 0o644) << 16
            zipped.writestr(info, content)
    return path


def make_tar(path: Path, *infos: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info, content in infos:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


def test_a_zip_and_a_tar_with_the_same_files_unpack_to_the_same(tmp_path: Path) -> None:
    program = tarfile.TarInfo("bin/run")
    program.mode = 0o755
    zipped = make_zip(
        tmp_path / "a.zip", {"a/b.py": b"1", "bin/run": b"#!"}, {"bin/run": stat.S_IFREG | 0o755}
    )
    tar = make_tar(tmp_path / "a.tar.gz", (tarfile.TarInfo("a/b.py"), b"1"), (program, b"#!"))
    for archive in (zipped, tar):
        into = tmp_path / f"{archive.name}-into"
        into.mkdir()
        assert unpack(archive, into) == 2
        assert (into / "a/b.py").read_bytes() == b"1"
        assert (into / "bin/run").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    "name",
    [
        "../escape",
        "a/../../escape",
        "/etc/escape",
        "C:\\escape",
        "a\\..\\escape",
        "a/\x00b",
        "aux.py",
        "a/nul",
        "trailing. ",
        "a/" * 40 + "deep",
        "x" * 300,
    ],
)
def test_paths_that_leave_the_folder_or_fool_a_system_are_refused(
    tmp_path: Path, folder: Path, name: str
) -> None:
    info = tarfile.TarInfo("placeholder")
    info.name = name
    archive = make_tar(tmp_path / "a.tar.gz", (info, b"x"))
    if "\x00" in name:  # a tar file ends its names there, so only the part before it is left
        unpack(archive, folder)
        assert [path.name for path in folder.rglob("*")] == ["a"]
        return
    with pytest.raises(ArchiveError, match="path that is not allowed"):
        unpack(archive, folder)
    assert not (tmp_path / "escape").exists()
    assert not any(folder.iterdir())


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, folder: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("a")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(ArchiveError, match="cannot be unpacked"):
        unpack(make_tar(tmp_path / "a.tar.gz", (info, b"")), folder)
    zipped = make_zip(tmp_path / "a.zip", {"a": b"/etc/passwd"}, {"a": stat.S_IFLNK | 0o777})
    with pytest.raises(ArchiveError, match="cannot be unpacked"):
        unpack(zipped, folder)
    assert not any(folder.iterdir())


@pytest.mark.parametrize(
    "names", [("a/Read.py", "a/read.py"), ("A/x", "a/y"), ("e\u0301.py", "\u00e9.py"), ("a", "a/b")]
)
def test_two_names_that_may_be_one_file_are_refused(
    tmp_path: Path, folder: Path, names: tuple[str, str]
) -> None:
    with pytest.raises((ArchiveError, OSError)):
        unpack(make_zip(tmp_path / "a.zip", dict.fromkeys(names, b"x")), folder)


def test_a_bomb_is_stopped_at_the_limit(tmp_path: Path, folder: Path) -> None:
    bomb = make_zip(tmp_path / "a.zip", {"zeros": b"\0" * 5_000_000})
    assert bomb.stat().st_size < 10_000
    with pytest.raises(ArchiveError) as caught:
        unpack(bomb, folder, ArchiveLimits(bytes=1_000_000))
    assert "larger than a plugin may be" in caught.value.detail
    assert (folder / "zeros").stat().st_size <= 1_000_000


def test_more_files_than_allowed_are_refused(tmp_path: Path, folder: Path) -> None:
    many = make_zip(tmp_path / "a.zip", {f"{number}": b"" for number in range(12)})
    with pytest.raises(ArchiveError) as caught:
        unpack(many, folder, ArchiveLimits(files=10))
    assert "more than 10 files" in caught.value.detail


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 300), junk=st.binary(max_size=60))
@example(cut=179, junk=b"\0\0")  # a member without a name
@example(cut=88, junk=b"\0" * 5 + b"\x08" + b"\0" * 18 + b"\x16")  # one whose name is no text
def test_damaged_archives_are_refused_in_plain_words(
    tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes
) -> None:
    tmp = tmp_path_factory.mktemp("damaged")
    whole = make_zip(tmp / "whole.zip", {"a.py": b"print(1)" * 30, "b.py": b"2"}).read_bytes()
    damaged = tmp / "damaged.zip"
    damaged.write_bytes(whole[:cut] + junk + whole[cut + len(junk) :])
    (tmp / "into").mkdir()
    with suppress(ArchiveError):  # anything else that is raised fails the test
        unpack(damaged, tmp / "into")
    assert {path.name for path in tmp.iterdir()} == {"whole.zip", "damaged.zip", "into"}
