"""Finding plugins: described by a child process, kept in a cache, imported by nobody before they are used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from registry.describing import Candidate, Described, describe_all
from registry.discovery import describe_again, discover, find_candidates
from registry.handle import PluginState
from registry.manifest import Manifest
from registry.paths import Paths
from registry.registry import PluginRegistry

GOOD = """
from pathlib import Path
from jackfield import Command, Model, Plugin
with open({marker!r}, "a") as file: file.write("x")
class P(Plugin):
    name = {name!r}
    version = "1.0"
"""


class Site:
    """A folder of installed packages, as `site-packages` is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def marker(self, name: str) -> Path:
        return self.folder.parent / f"{name}.imported"

    def imports(self, name: str) -> int:
        return len(self.marker(name).read_text()) if self.marker(name).exists() else 0

    def install(self, name: str, source: str | None = None, *, metadata: str = "") -> None:
        good = GOOD.format(marker=str(self.marker(name)), name=name)
        (self.folder / f"{name}_module.py").write_text(good if source is None else source)
        information = self.folder / f"{name}-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{metadata}"
        )
        (information / "entry_points.txt").write_text(
            f"[jackfield.plugins]\n{name} = {name}_module:P [extra]\n"
        )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(str(made.folder))
    return made


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "config", tmp_path / "data", tmp_path / "cache")


def found(paths: Paths) -> dict[str, str]:
    """The plugins of the site folder with their problems."""
    manifests = discover(paths, describe=lambda candidates: describe_all(candidates, limit_s=10))
    return {
        manifest["name"]: manifest["problem"]
        for manifest in manifests
        if manifest["publisher"] != "Jackfield"
    }


def not_needed(candidates: Sequence[Candidate]) -> list[Described]:
    raise AssertionError(f"described again: {candidates}")


def test_a_warm_cache_describes_nothing_and_imports_no_plugin(site: Site, paths: Paths) -> None:
    site.install("acme")
    assert found(paths) == {"acme": ""}
    assert site.imports("acme") == 1
    first = discover(paths, describe=not_needed)
    script = (
        "import sys, os; from pathlib import Path\n"
        "from registry.discovery import discover\n"
        "from registry.paths import Paths\n"
        "from registry.registry import PluginRegistry\n"
        f"paths = Paths(*(Path(p) for p in {[str(paths.config), str(paths.data), str(paths.cache)]!r}))\n"
        f"sys.path[:] = {sys.path!r}\n"
        "registry = PluginRegistry(paths)\n"
        "registry.register_all((m, True) for m in discover(paths))\n"
        "registry.providers(), registry.commands(), registry.hooks('on_request'), registry.auth_methods()\n"
        "print([n for n in sys.modules if n.endswith('_module') or n.split('.')[0] in"
        " ('providers', 'pydantic', 'httpx', 'textual')])\n"
    )
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "[]"
    assert site.imports("acme") == 1
    assert "acme" in [manifest["name"] for manifest in first]


def test_bytecode_that_python_keeps_beside_the_modules_describes_nothing_anew(
    site: Site, paths: Paths
) -> None:
    site.install("acme")
    assert found(paths) == {"acme": ""}
    (site.folder / "__pycache__").mkdir(exist_ok=True)
    os.utime(site.folder, ns=(1, 1))
    before = paths.manifest_cache.read_bytes()
    assert "acme" in [manifest["name"] for manifest in discover(paths, describe=not_needed)]
    after = paths.manifest_cache.read_bytes()
    assert after != before, "the new time is known now"
    discover(paths, describe=not_needed)
    assert paths.manifest_cache.read_bytes() == after
    site.install("other")
    assert found(paths) == {"acme": "", "other": ""}


@pytest.mark.parametrize("folders", [5, None, [1], ["abc"], [[["x"], 1, 1]], [["x", {}, "y"]], {"a": 1}])
def test_a_cache_whose_folders_are_damaged_is_made_anew(site: Site, paths: Paths, folders: object) -> None:
    site.install("acme")
    found(paths)
    head, _, body = paths.manifest_cache.read_bytes().partition(b"\n")
    damaged = json.dumps(json.loads(head) | {"folders": folders}).encode()
    paths.manifest_cache.write_bytes(damaged + b"\n" + body)
    assert found(paths) == {"acme": ""}
    assert site.imports("acme") == 2


def test_editing_a_source_describes_that_plugin_again_and_no_other(site: Site, paths: Paths) -> None:
    site.install("acme")
    site.install("other")
    found(paths)
    module = site.folder / "acme_module.py"
    module.write_text(module.read_text().replace('"1.0"', '"2.0.1"'))
    versions = {manifest["name"]: manifest["version"] for manifest in discover(paths)}
    assert (versions["acme"], versions["other"]) == ("2.0.1", "1.0")
    assert (site.imports("acme"), site.imports("other")) == (2, 1)


@pytest.mark.parametrize("source", ["1/0", "import os; os._exit(3)"])
def test_mending_a_broken_plugin_is_noticed(site: Site, paths: Paths, source: str) -> None:
    site.install("acme", source)
    assert found(paths)["acme"]
    (site.folder / "acme_module.py").write_text(GOOD.format(marker=str(site.marker("acme")), name="acme"))
    assert found(paths) == {"acme": ""}


def test_installing_and_removing_is_noticed(site: Site, paths: Paths) -> None:
    site.install("acme")
    assert list(found(paths)) == ["acme"]
    site.install("beta")
    os.utime(site.folder, ns=(1, 1))
    assert list(found(paths)) == ["acme", "beta"]
    for file in (site.folder / "acme-1.0.dist-info").iterdir():
        file.unlink()
    (site.folder / "acme-1.0.dist-info").rmdir()
    os.utime(site.folder, ns=(2, 2))
    assert list(found(paths)) == ["beta"]


def _truncate(cache: Path) -> None:
    cache.write_bytes(cache.read_bytes()[:-100])


def _flip(cache: Path) -> None:
    cache.write_bytes(cache.read_bytes().replace(b'"acme"', b'"evil"'))


def _make_folder(cache: Path) -> None:
    cache.unlink()
    cache.mkdir()


def _write(data: bytes) -> Any:
    return lambda cache: cache.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _flip,
        _make_folder,
        Path.unlink,
        _write(b""),
        _write(b"\xff\x00garbage"),
        _write(b"[" * 100_000),
        _write(b"null\nnull"),
        _write(b'{"shape": 1}\n[]'),
        _write(json.dumps([[], []]).encode()),
    ],
)
def test_a_damaged_cache_is_made_anew_without_a_word(
    site: Site, paths: Paths, damage: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    site.install("acme")
    found(paths)
    damage(paths.manifest_cache)
    assert found(paths) == {"acme": ""}
    assert capfd.readouterr() == ("", "")


_GRANDCHILD = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
MISCHIEF = {
    "raises": ("raise ValueError('\\x1b[31mboom')", "ValueError: boom"),
    "exits": ("raise SystemExit(3)", "SystemExit: 3"),
    "vanishes": ("import os; os._exit(3)", "Its process ended"),
    "hangs": ("import time; time.sleep(600)", "not described within 8 s"),
    "lacks": ("P = None", "not a plugin"),
    "class": ("P = dict", "dict, not a plugin"),
    "unnamed": ("from jackfield import Plugin\nclass P(Plugin): version = '1'", "name None is not allowed"),
    "forked": (
        "import subprocess, sys, os\n" + _GRANDCHILD + "os._exit(0)",
        "Its process ended",
    ),
    "scribbles": (
        "import os\nfor fd in range(3, 10):\n  try: os.write(fd, b'junk\\n')\n  except OSError: pass",
        "",
    ),
}
HARMLESS = {
    "prints": "print('noise ' * 100000)\nimport os; os.system('echo noise')\n",
    "thread": "import threading, time; threading.Thread(target=time.sleep, args=(600,)).start()\n",
}


def test_each_plugin_that_misbehaves_breaks_only_itself(site: Site) -> None:
    candidates: list[Candidate] = []
    for name, (source, _) in MISCHIEF.items():
        site.install(name, source)
        site.install(f"after{name}")
        candidates += [Candidate(f"x{name}", f"{name}_module:P"), Candidate(name, f"after{name}_module:P")]
    for name, source in HARMLESS.items():
        site.install(name, source + GOOD.format(marker="/dev/null", name=name))
        candidates.append(Candidate(name, f"{name}_module:P"))
    described = [item.manifest for item in describe_all(candidates, limit_s=8)]
    assert len(described) == len(candidates)
    for place, (name, (_, problem)) in enumerate(MISCHIEF.items()):
        assert described[2 * place].name == f"x{name}"
        assert described[2 * place].problem
        assert problem in described[2 * place].problem
        assert "\x1b" not in described[2 * place].problem
        assert (described[2 * place + 1].name, described[2 * place + 1].problem) == (f"after{name}", "")
    assert [manifest.problem for manifest in described[-2:]] == ["", ""]


def test_a_plugin_that_ends_the_child_costs_at_most_two_starts(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[object] = []
    begin = subprocess.Popen

    def counted(*given: Any, **options: Any) -> Any:
        starts.append(given)
        return begin(*given, **options)

    candidates = []
    for number in range(12):
        site.install(f"n{number}", "import os; os._exit(1)" if number % 4 == 1 else None)
        candidates.append(Candidate(f"n{number}", f"n{number}_module:P"))
    monkeypatch.setattr(subprocess, "Popen", counted)
    problems = [bool(item.manifest.problem) for item in describe_all(candidates)]
    assert problems == [number % 4 == 1 for number in range(12)]
    assert len(starts) <= 1 + 2 * 3


@pytest.mark.parametrize("program", ["/bin/false", "/no/such/program"])
def test_a_child_that_cannot_start_is_tried_once(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(sys, "executable", program)
    described = describe_all([Candidate(str(number), "x:P") for number in range(50)])
    assert all(item.manifest.problem for item in described)


def test_nothing_is_imported_from_the_current_folder(
    site: Site, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install("acme")
    hostile = Site(tmp_path / "project")
    hostile.install("intruder")
    for name in ("json", "registry", "jackfield", "sitecustomize", "acme_module"):
        (hostile.folder / f"{name}.py").write_text(
            f"open({str(hostile.marker('hostile'))!r}, 'w').write('x')"
        )
    monkeypatch.chdir(hostile.folder)
    monkeypatch.setattr(sys, "path", ["", ".", *sys.path])
    assert found(paths) == {"acme": ""}
    assert not hostile.imports("hostile")
    assert not hostile.imports("intruder")


def test_only_the_app_itself_is_published_by_the_app(site: Site) -> None:
    site.install("acme", metadata="Author: Jackfield\n")
    site.install("beta", metadata="Author: Be\x1b[31mta\n")
    site.install("gamma")
    publishers = {candidate.name: candidate.publisher for candidate in find_candidates()}
    assert publishers["acme"] == "package acme"
    assert publishers["beta"] == "Beta"
    assert publishers["gamma"] == "gamma"
    assert next(candidate.publisher for candidate in find_candidates()) == "Jackfield"


def test_a_damaged_package_does_not_hide_the_others(site: Site) -> None:
    site.install("acme")
    site.install("damaged")
    (site.folder / "damaged-1.0.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe[")
    site.install("nameless")
    (site.folder / "nameless-1.0.dist-info" / "METADATA").unlink()
    names = [candidate.name for candidate in find_candidates()]
    assert "acme" in names
    assert "damaged" not in names


def test_a_guard_that_can_no_longer_be_described_is_still_known_as_one(site: Site, paths: Paths) -> None:
    guard = GOOD + "    guard = True\n    def on_request(self, request): pass\n"
    site.install("acme", guard.format(marker="/dev/null", name="censor"))
    assert found(paths) == {"censor": ""}
    (site.folder / "acme_module.py").write_text("1/0")
    manifest = next(manifest for manifest in discover(paths) if manifest["name"] == "censor")
    assert (manifest["guard"], manifest["hooks"]) == (True, ["on_request"])
    assert "ZeroDivisionError" in manifest["problem"]


def test_describing_again_mends_the_cache_too(site: Site, paths: Paths, tmp_path: Path) -> None:
    switch = tmp_path / "switch"
    site.install("acme", f"from pathlib import Path\nPath({str(switch)!r}).read_text()\n"
                 + GOOD.format(marker="/dev/null", name="acme"))  # fmt: skip
    assert "FileNotFoundError" in found(paths)["acme"]
    switch.write_text("")
    assert "FileNotFoundError" in found(paths)["acme"]
    known = next(manifest for manifest in discover(paths) if manifest["name"] == "acme")
    assert describe_again(Manifest.from_json(known), paths).problem == ""
    assert {manifest["name"]: manifest["problem"] for manifest in discover(paths, describe=not_needed)}[
        "acme"
    ] == ""


async def test_reload_runs_the_edited_code_and_takes_its_new_name(site: Site, paths: Paths) -> None:
    site.install("acme", "1/0")
    registry = PluginRegistry(paths)
    registry.register_all((manifest, True) for manifest in discover(paths))
    assert "ZeroDivisionError" in registry.handle("acme").reason
    source = "from jackfield import Plugin\nclass P(Plugin):\n    name = 'renamed'\n    version = '{}'\n"
    (site.folder / "acme_module.py").write_text(source.format("1.0"))
    handle = await registry.reload("acme")
    assert (handle.name, handle.state) == ("renamed", PluginState.ENABLED)
    assert (await registry.plugin(handle)).version == "1.0"
    (site.folder / "acme_module.py").write_text(source.format("2.0.1"))
    await registry.reload("renamed")
    assert handle.manifest.version == (await registry.plugin(handle)).version == "2.0.1"
    await registry.aclose()


def test_a_manifest_from_the_cache_is_the_dict_that_was_described(site: Site, paths: Paths) -> None:
    site.install("acme")
    described = json.loads(json.dumps(discover(paths)))
    stored = discover(paths, describe=not_needed)
    assert stored == described
    assert [dict(manifest) for manifest in stored] == described
    assert [sorted(manifest) for manifest in discover(paths)] == [sorted(manifest) for manifest in described]
    assert discover(paths)[0].get("version") == described[0]["version"]
    with pytest.raises(KeyError):
        _ = discover(paths)[0]["no such"]
