"""Hostile plugin files and dependencies, signed by a marketplace that looks at nothing: none comes in."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from registry.marketplace import archive, dependencies
from registry.marketplace.archive import ArchiveLimits
from registry.marketplace.install import Step
from tests.registry.marketplace.machines import (
    copy_of,
    forge,
    machine,
    use_wheelhouse,
    with_requirements,
)
from tests.registry.marketplace.site import FakePlugin, Site, make_site, make_wheel

ID, VERSION = "acme/shout", "1.0.0"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return asyncio.run(make_site(tmp_path_factory.mktemp("shop"), FakePlugin(ID, (VERSION,))))


def zipped(folder: Path, members: Mapping[str, bytes], mode: int = 0o100644) -> Path:
    file = folder / "acme_shout-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            made.writestr(member, data, zipfile.ZIP_DEFLATED)
    return file


def linked(folder: Path) -> Path:
    file = folder / "shout.tar.gz"
    with tarfile.open(file, "w:gz") as made:
        link = tarfile.TarInfo("code.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(link)
    return file


def absolute(folder: Path) -> Path:
    file = folder / "shout.tar.gz"
    with tarfile.open(file, "w:gz") as made:
        member = tarfile.TarInfo("/tmp/escaped")
        member.size = 1
        made.addfile(member, io.BytesIO(b"x"))
    return file


FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "zip-slip": (lambda folder: zipped(folder, {"../../escaped.py": b"x"}), "a path that is not allowed"),
    "absolute path": (absolute, "a path that is not allowed"),
    "symbolic link in a tar file": (linked, "is a link or a device"),
    "symbolic link in a wheel": (
        lambda folder: zipped(folder, {"code.py": b"/etc/passwd"}, 0o120777),
        "is a link or a device",
    ),
    "bomb": (lambda folder: zipped(folder, {"bomb": b"\0" * 2_000_000}), "larger than a plugin may be"),
    "a file that is a folder too": (
        lambda folder: zipped(folder, {"code": b"a", "code/run.py": b"b"}),
        "two files that may be one",
    ),
    "case collision": (
        lambda folder: zipped(folder, {"Code.py": b"a", "code.py": b"b"}),
        "two files that may be one",
    ),
    "code that runs at every start": (
        lambda folder: make_wheel(folder, "acme_shout", VERSION, {"evil.pth": b"import os"}),
        "The wheel holds what a plugin must not have",
    ),
    "files for elsewhere": (
        lambda folder: make_wheel(folder, "acme_shout", VERSION, {"acme_shout-1.0.0.data/scripts/ls": b"x"}),
        "The wheel holds what a plugin must not have",
    ),
    "no archive": (lambda folder: zipped(folder, {}).with_name("README.md"), "neither a zip nor a tar file"),
}


@pytest.mark.parametrize("kind", FILES)
async def test_a_hostile_file_is_refused_and_leaves_nothing(
    kind: str, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, said = FILES[kind]
    monkeypatch.setattr(archive, "ArchiveLimits", lambda: ArchiveLimits(bytes=1_000_000))
    shop = copy_of(site, tmp_path / "shop")
    made = tmp_path / "made"
    made.mkdir()
    file = make(made)
    if not file.exists():
        file.write_text("no archive")
    forge(shop, ID, VERSION, file=file)
    here = await machine(tmp_path, shop)
    message = await here.refused()
    assert said in message
    assert "Nothing was installed" in message
    assert not any("escaped" in name for _, _, names in os.walk(tmp_path) for name in names)


REQUIREMENTS = {
    "without a hash": ("left-pad==1.0\n", "a requirement without version or hash"),
    "without a version": (f"left-pad --hash=sha256:{'0' * 64}\n", "a requirement without version or hash"),
    "from an address": (
        f"left-pad @ https://evil.example/left.whl --hash=sha256:{'0' * 64}\n",
        "a requirement without version or hash",
    ),
    "from another index": ("--index-url https://evil.example\n", "a requirement without version or hash"),
}


@pytest.mark.parametrize("kind", REQUIREMENTS)
async def test_a_dependency_that_is_not_nailed_down_is_refused(kind: str, tmp_path: Path, site: Site) -> None:
    requirements, said = REQUIREMENTS[kind]
    shop = copy_of(site, tmp_path / "shop")
    forge(shop, ID, VERSION, change=with_requirements(requirements))
    here = await machine(tmp_path, shop)
    message = await here.refused()
    assert said in message
    assert "Tell the publisher" in message


async def test_dependencies_that_the_catalogue_does_not_vouch_for_are_refused(
    tmp_path: Path, site: Site
) -> None:
    shop = copy_of(site, tmp_path / "shop")
    text = f"left-pad==1.0 --hash=sha256:{'0' * 64}\n"
    forge(shop, ID, VERSION, change=lambda _, about: about.update(requirements=text))
    here = await machine(tmp_path, shop)
    assert "its dependencies are not those of the catalogue" in await here.refused()


@pytest.mark.parametrize("pip", [False, True], ids=["uv", "pip"])
async def test_a_dependency_with_another_hash_is_refused(
    pip: bool, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = copy_of(site, tmp_path / "shop")
    shop.dependency("left-pad", "1.0", {"left_pad.py": b"x = 1\n"})
    forge(shop, ID, VERSION, change=with_requirements(f"left-pad==1.0 --hash=sha256:{'0' * 64}\n"))
    use_wheelhouse(monkeypatch, shop, tmp_path, pip=pip)
    here = await machine(tmp_path, shop)
    message = await here.refused()
    assert "What the plugin depends on cannot be installed" in message
    assert "hash" in message.lower()


@pytest.mark.parametrize("pip", [False, True], ids=["uv", "pip"])
async def test_source_code_is_never_built(
    pip: bool, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = copy_of(site, tmp_path / "shop")
    shop.wheelhouse.mkdir(exist_ok=True)
    sdist = shop.wheelhouse / "left_pad-1.0.tar.gz"
    ran = tmp_path / "ran"
    with tarfile.open(sdist, "w:gz") as made:
        for name, text in {
            "left_pad-1.0/setup.py": f"open({str(ran)!r}, 'w')\n",
            "left_pad-1.0/PKG-INFO": "Metadata-Version: 2.1\nName: left-pad\nVersion: 1.0\n",
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            made.addfile(member, io.BytesIO(text.encode()))
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    forge(shop, ID, VERSION, change=with_requirements(f"left-pad==1.0 --hash=sha256:{digest}\n"))
    use_wheelhouse(monkeypatch, shop, tmp_path, pip=pip)
    here = await machine(tmp_path, shop)
    assert "What the plugin depends on cannot be installed" in await here.refused()
    assert not ran.exists()


@pytest.mark.parametrize("pip", [False, True], ids=["uv", "pip"])
async def test_what_is_outside_of_the_closure_is_not_fetched(
    pip: bool, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = copy_of(site, tmp_path / "shop")
    shop.dependency("outsider", "6.6", {"outsider.py": b"x = 1\n"})
    made = make_wheel(
        shop.wheelhouse, "left_pad", "1.0", {"left_pad.py": b"x = 1\n"}, metadata="Requires-Dist: outsider\n"
    )
    line = f"left-pad==1.0 --hash=sha256:{hashlib.sha256(made.read_bytes()).hexdigest()}\n"
    forge(shop, ID, VERSION, change=with_requirements(line))
    use_wheelhouse(monkeypatch, shop, tmp_path, pip=pip)
    here = await machine(tmp_path, shop)
    await here.install()
    assert (here.current() / "left_pad.py").is_file()
    assert (here.current() / "acme_shout.py").is_file()
    assert not list(here.current().glob("outsider*"))


NAMES = ("requirements.txt", "uv.toml", "pyproject.toml", "pip.py", ".python-version")
TOOL = """
import json, os, sys, time
from pathlib import Path
ends = time.monotonic() + 20
while not Path({downloaded!r}).exists() and time.monotonic() < ends:
    time.sleep(0.02)
asked = Path(sys.argv[sys.argv.index("--requirement") + 1])
seen = {{"here": os.listdir(), "asked": asked.read_text(), "beside": sorted(os.listdir(asked.parent))}}
Path({seen!r}).write_text(json.dumps(seen))
"""


@pytest.mark.parametrize("name", NAMES)
async def test_no_name_of_a_file_makes_it_one_that_the_tools_read(
    name: str, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is downloaded while the tool is at work: here the tool waits for it, then notes what it sees."""
    shop = copy_of(site, tmp_path / "shop")
    line = f"left-pad==1.0 --hash=sha256:{'0' * 64}\n"
    (tmp_path / "made").mkdir()
    file = zipped(tmp_path / "made", {"code.py": b"x = 1\n"}).rename(tmp_path / "made" / name)
    forge(shop, ID, VERSION, file=file, change=with_requirements(line))
    downloaded, seen = tmp_path / "downloaded", tmp_path / "seen.json"
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(f"#!{sys.executable}\n{TOOL.format(downloaded=str(downloaded), seen=str(seen))}")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", str(uv.parent))
    here = await machine(tmp_path, shop)

    def note(step: Step) -> None:
        if step.what == "unpack":
            downloaded.touch()

    await here.installer.install(await here.plan(), here.confirm, note)
    saw = json.loads(seen.read_text())
    assert saw == {
        "here": [],
        "asked": f"--only-binary :all:\n{line}",
        "beside": ["requirements.txt", "uv.toml"],
    }


async def test_dependencies_that_are_too_large_leave_nothing(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = copy_of(site, tmp_path / "shop")
    line = shop.dependency("left-pad", "1.0", {"left_pad.py": b"#" * 2_000_000})
    forge(shop, ID, VERSION, change=with_requirements(line))
    use_wheelhouse(monkeypatch, shop, tmp_path)
    monkeypatch.setattr(dependencies, "ArchiveLimits", lambda: ArchiveLimits(bytes=1_000_000))
    here = await machine(tmp_path, shop)
    message = await here.refused()
    assert "What the plugin depends on is too large" in message
    assert "Tell the publisher" in message


async def test_a_dependency_cannot_stand_in_for_the_plugins_own_code(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = copy_of(site, tmp_path / "shop")
    line = shop.dependency("left-pad", "1.0", {"acme_shout.py": b"raise SystemExit('taken over')\n"})
    forge(shop, ID, VERSION, change=with_requirements(line))
    use_wheelhouse(monkeypatch, shop, tmp_path)
    here = await machine(tmp_path, shop)
    assert "acme_shout.py" in await here.refused()
