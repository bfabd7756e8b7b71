"""Installing from a marketplace: to what uv alone takes; what idle plugins cost a start; going back."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

from registry.config import update_config
from registry.marketplace.installed import InstalledPlugin, change_installed
from registry.marketplace.upkeep import roll_back
from registry.paths import Paths
from tests.benchmarks.app_start import FIRST_FRAME_BYTES, SIZE, fill_cache, first_echo, wait_for_rest
from tests.benchmarks.children import JACKFIELD, ROOT, in_turns, new_home
from tests.benchmarks.table import Row
from tests.e2e.terminal import PtySession
from tests.registry.marketplace.machines import Machine, machine
from tests.registry.marketplace.site import FakePlugin, Site, make_site

ID = "acme/big"
_DEPENDENCIES = 4
_MODULES = 100
_IDLE = 30

_START = """
import sys, time
from registry.paths import find_paths
from registry.registry import PluginRegistry
from registry.settings import Settings
from registry.startup import fill_registry, find_manifests
paths = find_paths()
find_manifests(paths)
begun = time.perf_counter()
registry = PluginRegistry(paths)
fill_registry(registry, find_manifests(paths), Settings(), plugins_off=False)
registry.providers(), registry.commands()
print((time.perf_counter() - begun) * 1000, len(registry.handles()))
"""


def rows(quick: bool) -> Iterator[Row]:
    """Installing, going back, and what is only installed."""
    with new_home() as environment, _environment(environment):
        folder = Path(environment["JACKFIELD_HOME"])
        modules = 5 if quick else _MODULES
        site, requirements = asyncio.run(_site(folder, modules))
        yield _install_row(folder, site, requirements, 1 if quick else 7)
        here = asyncio.run(_two_versions(folder / "rollback", site))
        yield _rollback_row(here, 1 if quick else 5)
        yield from _idle_rows(environment, here, 1 if quick else 9)


@contextmanager
def _environment(environment: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(environment)
    os.environ["UV_NO_INDEX"] = "1"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


async def _site(folder: Path, modules: int) -> tuple[Site, str]:
    """A marketplace with a plugin in two versions that have four dependencies of so many modules each."""
    site = await make_site(folder / "shop")
    numbers = Random(1)  # noqa: S311 - text to be packed, not secrets
    lines = ""
    for number in range(_DEPENDENCIES):
        members = {f"dep{number}/m{module}.py": _code(numbers) for module in range(modules)}
        lines += site.dependency(f"dep{number}", "1.0", members)
    os.environ["UV_FIND_LINKS"] = str(site.wheelhouse)
    plugin = FakePlugin(ID, ("1.0.0", "1.1.0"), requirements=lines)
    site.put(plugin)
    await site.publish()
    own = plugin.wheel("1.1.0", site.wheelhouse)
    digest = hashlib.sha256(own.read_bytes()).hexdigest()
    return site, f"{lines}{plugin.module()}==1.1.0 --hash=sha256:{digest}\n"


def _code(numbers: Random) -> bytes:
    return "".join(f"def f{line}(): return {numbers.random()}\n" for line in range(200)).encode()


def _install_row(folder: Path, site: Site, requirements: str, rounds: int) -> Row:
    file = folder / "requirements.txt"
    file.write_text(requirements, "utf-8")
    rounds_done = iter(range(10**6))

    def alone() -> Mapping[str, float]:
        place = folder / f"alone-{next(rounds_done)}"
        command = ["uv", "pip", "install", "--quiet", "--no-progress", "--python", sys.executable]
        command += [
            "--require-hashes",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--cache-dir",
            str(place / "cache"),
        ]
        begun = time.perf_counter()
        subprocess.run([*command, "--target", str(place / "code"), "--requirement", str(file)], check=True)
        return _done(begun, place)

    def ours() -> Mapping[str, float]:
        place = folder / f"ours-{next(rounds_done)}"
        return asyncio.run(_install(place, site))

    uv, jackfield = in_turns(rounds, alone, ours)
    return Row(
        "install a wheel with 4 dependencies, to `uv pip install --target` of the same five, caches empty",
        jackfield["s"] / uv["s"],
        1.3,
        detail=f"{jackfield['s'] * 1000:.0f} ms to {uv['s'] * 1000:.0f} ms",
    )


async def _install(place: Path, site: Site) -> Mapping[str, float]:
    here = await machine(place, site)
    plan = await here.plan("1.1.0", ID)
    begun = time.perf_counter()
    await here.installer.install(plan, here.confirm)
    return _done(begun, place)


def _done(begun: float, place: Path) -> Mapping[str, float]:
    taken = time.perf_counter() - begun
    subprocess.run(["chmod", "-R", "u+w", str(place)], check=True)
    shutil.rmtree(place)
    return {"s": taken}


async def _two_versions(folder: Path, site: Site) -> Machine:
    here = await machine(folder, site)
    for version in ("1.0.0", "1.1.0"):
        await here.install(version, ID)
    return here


def _rollback_row(here: Machine, rounds: int) -> Row:
    versions = itertools.cycle(("1.0.0", "1.1.0"))

    def back() -> Mapping[str, float]:
        begun = time.perf_counter()
        asyncio.run(roll_back(here.installer, ID, next(versions)))
        return {"s": time.perf_counter() - begun}

    (figures,) = in_turns(rounds, back)
    return Row("go back to the version before, code checked: seconds", figures["s"], 1.0, unit="s")


def _idle_rows(environment: Mapping[str, str], here: Machine, rounds: int) -> Iterator[Row]:
    """Each installed plugin is on, has five earlier versions, and the dependencies of the one installed."""
    (plugin,) = here.installed().values()
    home = Path(environment["JACKFIELD_HOME"])
    starts, apps, homes = [], [], []
    for count in (0, _IDLE):
        its_own = {**environment, "JACKFIELD_HOME": str(home / f"idle-{count}")}
        paths = Paths(*(home / f"idle-{count}" / part for part in ("config", "data", "cache")))
        change_installed(paths, partial(_add, plugin, count))
        update_config(paths, {("plugins", f"idle{number}", "enabled"): True for number in range(count)})
        fill_cache(its_own)
        homes.append(its_own)
        starts.append(partial(_start, its_own))
        apps.append(partial(first_echo, (JACKFIELD,), its_own))
    none, thirty = in_turns(rounds, *starts, pick=min)
    yield Row(
        f"{_IDLE} installed plugins that are on and idle: ms added to finding and registering all",
        thirty["ms"] - none["ms"],
        10,
        unit="ms",
        detail=f"{thirty['ms']:.1f} to {none['ms']:.1f} ms",
    )
    none, thirty = in_turns(rounds, *apps, pick=min)
    yield Row(
        f"{_IDLE} installed plugins that are on and idle: ms added to the first echo of a key",
        (thirty["seconds"] - none["seconds"]) * 1000,
        25,
        unit="ms",
        detail=f"{thirty['seconds'] * 1000:.0f} / {none['seconds'] * 1000:.0f} ms",
    )
    yield _processes_row(homes[-1])


def _processes_row(environment: Mapping[str, str]) -> Row:
    with PtySession(JACKFIELD, size=SIZE, env=environment) as session:
        session.wait_for(lambda output: len(output) > FIRST_FRAME_BYTES)
        wait_for_rest(session.process)
        children = Path(f"/proc/{session.process}/task/{session.process}/children").read_text().split()
    return Row(
        f"{_IDLE} installed plugins that are on and idle: processes beside the app's own",
        len(children),
        0,
        unit=" ",
        detail="counted once the app rests",
    )


def _add(plugin: InstalledPlugin, count: int, plugins: dict[str, InstalledPlugin]) -> None:
    for number in range(count):
        manifest = {**plugin.current.manifest, "name": f"idle{number}"}
        current = replace(plugin.current, manifest=manifest)
        copy = replace(plugin, id=f"acme/idle{number}", current=current, earlier=(current,) * 5)
        plugins[copy.id] = copy


def _start(environment: Mapping[str, str]) -> Mapping[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", _START], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return {"ms": float(json.loads(done.stdout.split()[0]))}
