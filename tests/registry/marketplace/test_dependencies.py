"""Fetching dependencies, with uv and with pip, from wheels that the test made."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import signal
import sys
import tarfile
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from registry.errors import JackfieldError
from registry.marketplace import dependencies
from registry.marketplace.archive import ArchiveLimits
from registry.marketplace.dependencies import DependencyError, TooLargeError, fetch_dependencies, tool
from registry.marketplace.tool_settings import write_uv_settings
from tests.registry.marketplace.machines import use_wheelhouse
from tests.registry.marketplace.site import Site, make_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return asyncio.run(make_site(tmp_path_factory.mktemp("shop")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


async def fetch(requirements: str, folder: Path) -> None:
    await fetch_dependencies(requirements, folder, folder.with_name("work"), env=os.environ)


@pytest.mark.parametrize("pip", [False, True], ids=["uv", "pip"])
async def test_wheels_come_beside_what_is_there(
    folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch, pip: bool
) -> None:
    lines = site.dependency("one", "1.0", {"one.py": b"x = 1\n"})
    lines += site.dependency("two", "2.0", {"two/__init__.py": b"x = 2\n", "late.pth": b"import os\n"})
    use_wheelhouse(monkeypatch, site, folder.parent, pip=pip)
    assert ("uv" in tool()[0]) is not pip
    (folder / "mine.py").write_text("x = 0\n")
    await fetch(lines, folder)
    assert all((folder / name).exists() for name in ("mine.py", "one.py", "two"))


@pytest.mark.parametrize("pip", [False, True], ids=["uv", "pip"])
async def test_nothing_is_compiled_since_each_machine_compiles_to_other_bytes(
    folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch, pip: bool
) -> None:
    monkeypatch.setenv("UV_COMPILE_BYTECODE", "1")
    monkeypatch.setenv("PIP_COMPILE", "1")
    line = site.dependency("one", "1.0", {"one.py": b"x = 1\n"})
    use_wheelhouse(monkeypatch, site, folder.parent, pip=pip)
    await fetch(line, folder)
    assert not [name for _, _, names in os.walk(folder) for name in names if name.endswith(".pyc")]


def users_of(file: Path, folder: Path) -> list[Path]:
    """The names below a folder that stand for the very same file."""
    paths = [Path(root, name) for root, _, names in os.walk(folder) for name in names]
    return [path for path in paths if path.samefile(file)]


@pytest.mark.parametrize("own", [False, True])
async def test_no_file_is_shared_with_other_programs(
    folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    line = site.dependency("one", "1.0", {"one.py": b"x = 1\n"})
    use_wheelhouse(monkeypatch, site, folder.parent)
    cache = folder.with_name("own-cache") if own else None
    await fetch_dependencies(line, folder, folder.with_name("work"), cache=cache)
    assert users_of(folder / "one.py", folder.with_name("uv-cache")) == []


async def test_what_is_not_there_is_said_with_the_words_of_the_tool(
    folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_wheelhouse(monkeypatch, site, folder.parent)
    site.wheelhouse.mkdir(exist_ok=True)
    with pytest.raises(DependencyError, match="What the plugin depends on cannot be installed") as error:
        await fetch(f"nowhere==1.0 --hash=sha256:{'0' * 64}\n", folder)
    assert "nowhere" in error.value.detail


async def test_none_is_none(folder: Path) -> None:
    await fetch_dependencies(" \n", folder, folder, env={})
    assert not any(os.walk(folder).__next__()[1:])


# -- settings of the user: where packages come from counts, nothing else does -------------------------------


def make_source(folder: Path, ran: Path) -> str:
    """A source distribution that notes when any of its code runs; gives its line for requirements."""
    folder.mkdir(exist_ok=True)
    file = folder / "outsider-6.6.tar.gz"
    note = f"open({str(ran)!r}, 'w')\n"
    with tarfile.open(file, "w:gz") as made:
        for name, text in {
            "PKG-INFO": "Metadata-Version: 2.1\nName: outsider\nVersion: 6.6\n",
            "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'b'\nbackend-path = ['.']\n",
            "b.py": note,
        }.items():
            member = tarfile.TarInfo(f"outsider-6.6/{name}")
            member.size = len(text)
            made.addfile(member, io.BytesIO(text.encode()))
    return f"outsider==6.6 --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


def configure(environment: pytest.MonkeyPatch, folder: Path, *, uv: str = "", pip: str = "") -> None:
    """Give the user a uv.toml and a pip.conf."""
    environment.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    for file, text in (("uv/uv.toml", uv), ("pip/pip.conf", pip)):
        path = folder / "config" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    "settings",
    [
        '[pip]\nno-binary = ["outsider"]\n',
        'no-binary-package = ["outsider"]\n',
        '[pip]\nonly-binary = [":none:"]\n',
        '[pip]\nonly-binary = [":all:"]\nno-binary = ["outsider"]\n',
    ],
)
async def test_no_setting_of_uv_has_sources_built(
    folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch, settings: str
) -> None:
    ran = folder.with_name("ran")
    line = make_source(site.wheelhouse, ran)
    use_wheelhouse(monkeypatch, site, folder.parent)
    configure(monkeypatch, folder.parent, uv=settings)
    with pytest.raises(DependencyError):
        await fetch(line, folder)
    assert not ran.exists()


@pytest.mark.parametrize("where", ["file", "environment"])
async def test_no_setting_of_pip_has_sources_built(
    folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    ran = folder.with_name("ran")
    line = make_source(site.wheelhouse, ran)
    use_wheelhouse(monkeypatch, site, folder.parent, pip=True)
    more = folder.with_name("more.txt")
    more.write_text("--no-binary outsider\n")
    if where == "file":
        configure(monkeypatch, folder.parent, pip=f"[install]\nrequirement = {more}\nno-binary = outsider\n")
    else:
        monkeypatch.setenv("PIP_REQUIREMENT", str(more))
        monkeypatch.setenv("PIP_NO_BINARY", "outsider")
    with pytest.raises(DependencyError):
        await fetch(line, folder)
    assert not ran.exists()


@pytest.mark.parametrize("pip", [False, True], ids=["uv", "pip"])
async def test_no_setting_takes_a_wheel_with_another_hash(
    folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch, pip: bool
) -> None:
    site.dependency("one", "1.0", {"one.py": b"x = 1\n"})
    use_wheelhouse(monkeypatch, site, folder.parent, pip=pip)
    for name, value in {
        "UV_NO_VERIFY_HASHES": "1",
        "UV_REQUIRE_HASHES": "0",
        "PIP_REQUIRE_HASHES": "0",
    }.items():
        monkeypatch.setenv(name, value)
    off = "[pip]\nrequire-hashes = false\nverify-hashes = false\n"
    configure(monkeypatch, folder.parent, uv=off, pip="[install]\nrequire-hashes = no\n")
    with pytest.raises(DependencyError) as error:
        await fetch(f"one==1.0 --hash=sha256:{'0' * 64}\n", folder)
    assert "hash" in error.value.detail.lower()
    with pytest.raises(DependencyError):
        await fetch("one==1.0\n", folder)


async def test_no_setting_of_pip_adds_a_package(
    folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreed = site.dependency("One.Package", "1.0", {"one.py": b"x = 1\n"})
    more = folder.with_name("more.txt")
    more.write_text(site.dependency("two", "2.0", {"two.py": b"x = 2\n"}))
    use_wheelhouse(monkeypatch, site, folder.parent, pip=True)
    await fetch(agreed, folder)
    configure(monkeypatch, folder.parent, pip=f"[install]\nrequirement = {more}\n")
    with pytest.raises(DependencyError) as error:
        await fetch(agreed, folder)
    assert "what nobody agreed to: two." in error.value.detail


@pytest.mark.parametrize("pip", [False, True], ids=["uv", "pip"])
async def test_packages_come_from_where_the_settings_of_the_user_say(
    folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch, pip: bool
) -> None:
    line = site.dependency("one", "1.0", {"one.py": b"x = 1\n"})
    use_wheelhouse(monkeypatch, site, folder.parent, pip=pip)
    for name in ("UV_FIND_LINKS", "UV_NO_INDEX", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name)
    configure(
        monkeypatch,
        folder.parent,
        uv=f"no-index = true\n[pip]\nfind-links = [{json.dumps(str(site.wheelhouse))}]\n",
        pip=f"[global]\nno-index = yes\nfind-links = {site.wheelhouse}\n",
    )
    await fetch(line, folder)
    assert (folder / "one.py").is_file()


def test_the_file_of_the_user_counts_more_than_that_of_the_machine(tmp_path: Path) -> None:
    env = {"XDG_CONFIG_DIRS": str(tmp_path / "etc"), "XDG_CONFIG_HOME": str(tmp_path / "home")}
    for where, text in {
        "etc": 'index-url = "https://a.example"\nextra-index-url = ["https://b.example"]\n',
        "home": 'index-url = "https://c.example"\nextra-index-url = ["https://d.example"]\noffline = true\n',
    }.items():
        (tmp_path / where / "uv").mkdir(parents=True)
        (tmp_path / where / "uv" / "uv.toml").write_text(text)
    write_uv_settings(tmp_path / "made.toml", env)
    assert tomllib.loads((tmp_path / "made.toml").read_text()) == {
        "index-url": "https://c.example",
        "extra-index-url": ["https://d.example", "https://b.example"],
        "offline": True,
    }


def test_settings_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    (tmp_path / "uv.toml").write_text("index-url = ")
    with pytest.raises(JackfieldError, match="The settings of uv cannot be read"):
        write_uv_settings(tmp_path / "made.toml", {"UV_CONFIG_FILE": str(tmp_path / "uv.toml")})


# -- what the tool sees and how it ends: in its place, a program that notes it ------------------------------


def use_program(environment: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    """Have this run in place of uv; it knows `argument(NAME)`, and `target` as the folder of the wheels."""
    program = folder / "bin" / "uv"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{PROGRAM}{text}")
    program.chmod(0o755)
    environment.setenv("PATH", str(program.parent))


PROGRAM = """
import json, os, subprocess, sys, time
from pathlib import Path
def argument(name):
    return Path(sys.argv[sys.argv.index(name) + 1])
target = argument("--target")
"""
LINE = f"one==1.0 --hash=sha256:{'0' * 64}\n"


async def test_the_tool_is_given_the_closure_and_no_keys(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = """
asked = argument("--requirement").read_text()
about = {"here": os.listdir(), "asked": asked, "environment": dict(os.environ)}
(target / "seen.json").write_text(json.dumps(about))
"""
    use_program(monkeypatch, folder.parent, note)
    secret = {"OPENAI_API_KEY": "sk", "GITHUB_TOKEN": "gh", "JACKFIELD_PASSPHRASE": "p", "UV_NO_BINARY": "1"}
    kept = {
        "HTTPS_PROXY": "http://proxy.example",
        "no_proxy": "localhost",
        "UV_INDEX_URL": "https://index.example",
        "UV_INDEX_ACME_PASSWORD": "mine",
        "PIP_INDEX_URL": "https://index.example",
        "SSL_CERT_FILE": "/certificates.pem",
        "NETRC": "/netrc",
    }
    for name, value in {**secret, **kept}.items():
        monkeypatch.setenv(name, value)
    await fetch(LINE, folder)
    seen: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    assert seen["here"] == []
    assert seen["asked"] == f"--only-binary :all:\n{LINE}"
    assert kept.items() <= seen["environment"].items()
    assert not secret.keys() & seen["environment"].keys()


def is_running(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat")
        return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - it becomes true in another process
            await asyncio.sleep(0.02)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no groups of processes")
async def test_what_the_tool_started_ends_with_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeper = """
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
(target / "half").write_text(str(child.pid))
(target / "half").rename(target / "child")
time.sleep(600)
"""
    use_program(monkeypatch, folder.parent, sleeper)
    fetching = asyncio.create_task(fetch(LINE, folder))
    await until((folder / "child").exists)
    child = int((folder / "child").read_text())
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    try:
        await until(lambda: not is_running(child))
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


# -- how much there may be ----------------------------------------------------------------------------------


@pytest.mark.parametrize("pip", [False, True], ids=["uv", "pip"])
@pytest.mark.parametrize(
    "limits", [ArchiveLimits(bytes=1_000_000), ArchiveLimits(files=10)], ids=["size", "files"]
)
async def test_more_than_a_plugin_may_have_is_refused(
    folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch, pip: bool, limits: ArchiveLimits
) -> None:
    line = site.dependency(
        "big", "1.0", {"one.bin": bytes(2_000_000), **{f"one/{n}.py": b"" for n in range(20)}}
    )
    use_wheelhouse(monkeypatch, site, folder.parent, pip=pip)
    with pytest.raises(TooLargeError, match="What the plugin depends on is too large"):
        await fetch_dependencies(line, folder, folder.with_name("work"), limits=limits)


@pytest.mark.parametrize(
    "where", ["target", "Path(os.environ['TMPDIR'])", "argument('--cache-dir') / '.tmpX'"]
)
async def test_a_tool_that_fetches_without_end_is_stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    endless = f"""
folder = {where}
folder.mkdir(exist_ok=True)
(folder / "endless").write_bytes(bytes(2_000_000))
time.sleep(600)
"""
    use_program(monkeypatch, folder.parent, endless)
    monkeypatch.setattr(dependencies, "_LOOK_S", 0.05)
    cache = folder.with_name("cache")
    (cache / ".tmpOther").mkdir(parents=True)
    (cache / ".tmpOther" / "large").write_bytes(bytes(2_000_000))
    limits = ArchiveLimits(bytes=1_000_000)
    async with asyncio.timeout(30):
        with pytest.raises(TooLargeError):
            await fetch_dependencies(LINE, folder, folder.with_name("work"), cache=cache, limits=limits)
    assert [path.name for path in cache.iterdir()] == [".tmpOther"]
