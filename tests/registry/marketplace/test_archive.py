"""Archives of strangers: what is unpacked, and what is refused before anything leaves the folder."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from registry.marketplace.archive import ArchiveError, ArchiveLimits, unpack

ROOT = Path(__file__).parents[3]


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
        unpack(archive, into)
        assert sorted(path.name for path in into.rglob("*") if path.is_file()) == ["b.py", "run"]
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
    "names",
    [
        ("a/Read.py", "a/read.py"),
        ("A/x", "a/y"),
        ("e\u0301.py", "\u00e9.py"),
        ("a", "a/b"),
        ("a/b", "a"),
        ("a", "a/"),
        ("a/", "a"),
        ("a/b", "a/b/c"),
    ],
)
def test_two_names_that_may_be_one_file_are_refused(
    tmp_path: Path, folder: Path, names: tuple[str, str]
) -> None:
    with pytest.raises(ArchiveError, match="two files that may be one"):
        unpack(make_zip(tmp_path / "a.zip", dict.fromkeys(names, b"x")), folder)


def test_the_same_file_twice_is_refused_and_the_same_folder_is_not(tmp_path: Path, folder: Path) -> None:
    folders = [tarfile.TarInfo("a") for _ in range(2)]
    for info in folders:
        info.type = tarfile.DIRTYPE
    file = (tarfile.TarInfo("a/b"), b"x")
    unpack(make_tar(tmp_path / "a.tar.gz", (folders[0], b""), (folders[1], b""), file), folder)
    assert (folder / "a/b").read_bytes() == b"x"
    (tmp_path / "again").mkdir()
    with pytest.raises(ArchiveError, match="two files that may be one"):
        unpack(make_tar(tmp_path / "b.tar.gz", file, file), tmp_path / "again")


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
    assert "more than 10 files and folders" in caught.value.detail


def test_folders_count_whether_they_are_named_or_not(tmp_path: Path, folder: Path) -> None:
    deep = make_zip(tmp_path / "a.zip", {f"{number}/a/b/c": b"" for number in range(3)})
    with pytest.raises(ArchiveError) as caught:
        unpack(deep, folder, ArchiveLimits(files=10))
    assert "more than 10 files and folders" in caught.value.detail


def test_a_folder_that_is_named_without_end_is_refused(tmp_path: Path, folder: Path) -> None:
    info = tarfile.TarInfo("a")
    info.type = tarfile.DIRTYPE
    with pytest.raises(ArchiveError) as caught:
        unpack(make_tar(tmp_path / "a.tar.gz", *[(info, b"")] * 12), folder, ArchiveLimits(files=10))
    assert "more than 10 files and folders" in caught.value.detail


# -- small archives that would fill the memory: each is unpacked by a process of its own ---------------------

MEASURED = """
import sys
from pathlib import Path
from registry.marketplace.archive import unpack
from registry.errors import JackfieldError

def most_memory():
    # not `ru_maxrss`: that counts what the process had from which this one was forked
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

try:
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
except JackfieldError as error:
    print(most_memory(), error.detail)
"""
BOMB = 400 << 20
MOST_MEMORY = 300 << 20


def packed_zip(folder: Path, packing: int, size: int = BOMB) -> Path:
    file = folder / "bomb.zip"
    info = zipfile.ZipInfo("a.bin")
    info.compress_type = packing
    with zipfile.ZipFile(file, "w") as zipped, zipped.open(info, "w", force_zip64=True) as member:
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))
    return file


def crowded_zip(folder: Path) -> Path:
    """A zip file that is little more than a list of members, each of which takes memory."""
    file = folder / "crowded.zip"
    header = b"PK\x01\x02" + b"\x14\0" * 2 + bytes(20) + struct.pack("<HHHHHLL", 1, 0, 0, 0, 0, 0, 0) + b"a"
    count = 600_000
    listed = header * count
    end = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(listed), 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(listed), 1)
    last = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    file.write_bytes(listed + end + locator + last)
    return file


def long_header(folder: Path, kind: bytes) -> Path:
    file = folder / "long.tar.gz"
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = kind, BOMB
    with gzip.open(file, "wb", compresslevel=1) as tar:
        tar.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(BOMB >> 20):
            tar.write(b"x" * (1 << 20))
        tar.write(tarfile.TarInfo("x").tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    return file


BOMBS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "bzip2": (lambda folder: packed_zip(folder, zipfile.ZIP_BZIP2), "neither stored nor deflated"),
    "lzma": (lambda folder: packed_zip(folder, zipfile.ZIP_LZMA, 10 << 20), "neither stored nor deflated"),
    "members": (crowded_zip, "its list of members is too large"),
    "long name": (lambda folder: long_header(folder, tarfile.GNUTYPE_LONGNAME), "headers of a member"),
    "pax": (lambda folder: long_header(folder, tarfile.XHDTYPE), "headers of a member"),
    "sparse": (lambda folder: long_header(folder, tarfile.GNUTYPE_SPARSE), "no plain file"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much memory a process has used")
@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_fills_no_memory(tmp_path: Path, folder: Path, kind: str) -> None:
    make, said = BOMBS[kind]
    bomb = make(tmp_path)
    command = [sys.executable, "-c", MEASURED, str(bomb), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    peak, _, detail = done.stdout.partition(" ")
    assert said in detail
    assert int(peak) < MOST_MEMORY


@pytest.mark.parametrize("mode", ["w:bz2", "w:xz"])
def test_a_tar_file_that_is_packed_otherwise_is_refused(
    tmp_path: Path, folder: Path, mode: Literal["w:bz2", "w:xz"]
) -> None:
    file = tmp_path / "a.tar"
    with tarfile.open(file, mode) as tar:
        tar.addfile(tarfile.TarInfo("a"))
    with pytest.raises(ArchiveError) as caught:
        unpack(file, folder)
    assert "plain or packed with gzip" in caught.value.detail


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_files_with_long_names_and_large_files_unpack(tmp_path: Path, folder: Path, form: int) -> None:
    name = f"{'long' * 30}/{'name' * 20}.py"
    content = bytes(range(256)) * 4000
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as tar:
        for each in (name, "b.py", "c.py"):
            info = tarfile.TarInfo(each)
            info.size = len(content) + len(each)
            tar.addfile(info, io.BytesIO(content + each.encode()))
    unpack(tmp_path / "a.tar", folder)
    for each in (name, "b.py", "c.py"):
        assert (folder / each).read_bytes() == content + each.encode()


@pytest.mark.parametrize("left", [511, 600, 1024, 1500])
def test_a_tar_file_that_is_cut_short_is_refused(tmp_path: Path, folder: Path, left: int) -> None:
    whole = gzip.decompress(make_tar(tmp_path / "a.tar.gz", (tarfile.TarInfo("a"), b"x" * 1500)).read_bytes())
    (tmp_path / "cut.tar").write_bytes(whole[:left])
    with pytest.raises(ArchiveError, match="cannot be unpacked"):
        unpack(tmp_path / "cut.tar", folder)


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
