"""A folder of installed plugins, as many as are asked for."""

from __future__ import annotations

from pathlib import Path

_SOURCE = """
from jackfield import Command, Model, Plugin, Provider
async def run(call): return None
class Answers(Provider):
    name = "provider-{number}"
    title = "Provider {number}"
    known_models = [Model(f"model-{{i}}", f"Model {{i}}", 128000, 8192) for i in range(3)]
    async def stream(self, request, credential):
        yield None
class P(Plugin):
    name = "plugin-{number}"
    version = "1.2.3"
    summary = "Does something that is useful to somebody"
    def providers(self): return [Answers()]
    def commands(self): return [Command(f"command-{number}-{{i}}", "Does it", run) for i in range(2)]
"""


def install_plugins(site: Path, count: int) -> Path:
    """Fill a new folder with plugins, each a distribution of its own; gives the folder."""
    site.mkdir(parents=True)
    for number in range(count):
        (site / f"plugin_{number}.py").write_text(_SOURCE.format(number=number))
        information = site / f"plugin_{number}-1.2.3.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Name: plugin-{number}\nVersion: 1.2.3\nAuthor: Somebody\n")
        (information / "entry_points.txt").write_text(
            f"[jackfield.plugins]\nplugin-{number} = plugin_{number}:P\n"
        )
    return site
