"""Installs and is killed on the way, once for each point that is named. Run as a script.

It forks for each point after all is imported, so that a point costs no start of an interpreter. Its arguments
are folders of machines, and points; it writes the signal that each attempt ended by, 0 for none.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

from registry.marketplace.finding import find_plugin
from registry.marketplace.install import Installer, Step
from registry.marketplace.machine import Machine
from registry.marketplace.rules import Rules
from registry.marketplace.upkeep import remove
from registry.paths import Paths


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str) -> Callable[[Step], None]:
    """`step NAME`: die when it is told; `before|after MODULE NAME`: die around that function's first call."""
    kind, *where = point.split()
    if kind == "step":
        return lambda step: die() if step.what == where[0] else None
    module, name = importlib.import_module(where[0]), where[1]
    *owners, last = name.split(".")
    owner: Any = reduce(getattr, owners, module)
    real = getattr(owner, last)

    def armed(*args: Any, **options: Any) -> Any:
        if kind == "before":
            die()
        result = real(*args, **options)
        if asyncio.iscoroutine(result):
            return _then_die(result)
        return die()

    setattr(owner, last, armed)
    return lambda _: None


async def _then_die(work: Any) -> None:
    await work
    die()


async def agree(_: object) -> bool:
    return True


async def install(folder: Path, point: str) -> None:
    paths = Paths(folder / "config", folder / "data", folder / "cache")
    installer = Installer(paths, lambda _: Rules(Machine("1.0")))
    plan = await installer.plan(await find_plugin(paths, "acme/shout"))
    await installer.install(plan, agree, arm(point))


async def install_and_remove(folder: Path, plugin_id: str, rounds: int) -> None:
    """What two processes do at once, again and again."""
    paths = Paths(folder / "config", folder / "data", folder / "cache")
    installer = Installer(paths, lambda _: Rules(Machine("1.0")))
    found = await find_plugin(paths, plugin_id)
    for number in range(rounds):
        if number:
            await remove(installer, plugin_id, data=True, secrets=True)
        await installer.install(await installer.plan(found, "1.0.0"), agree)


def main() -> None:
    ends: list[int] = []
    for folder, point in json.loads(sys.argv[1]):
        child = os.fork()
        if child == 0:
            asyncio.run(install(Path(folder), point))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        ends.append(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)
    sys.stdout.write(json.dumps(ends))


if __name__ == "__main__":
    main()
