"""What the commands that install and update stand on: marketplaces, the store, the user who agrees."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.chat import Progress
from registry.config import load_config
from registry.discovery import BUILTIN_PUBLISHER
from registry.errors import ConfigError, JackfieldError
from registry.marketplace.link import PREFIX, linked_plugin
from registry.marketplace.sources import read_sources
from registry.paths import Paths, find_paths
from registry.startup import plugins_are_off
from tui.cli.accounts import open_connections
from tui.cli.answers import Answers
from tui.cli.ask import only_answers_on_stdout, ready_registry
from tui.cli.output import CommandError, Exit, line, note, show_problems, warn, warn_withdrawn
from tui.cli.progress import ProgressLine
from tui.cli.signals import StopSignals
from tui.cli.stream import Output

if TYPE_CHECKING:
    from registry.connections import Connections
    from registry.marketplace.consent import Ask, Request
    from registry.marketplace.install import Installer, Plan, Step
    from registry.marketplace.installed import InstalledPlugin
    from registry.marketplace.live import LiveInstaller
    from registry.settings import Settings

_STEPS: Final = {
    "download": "Downloading {}",
    "unpack": "Unpacking {}",
    "dependencies": "Fetching what {} depends on",
    "store": "Checking {}",
}
_WHERE: Final = (
    "It runs in a process of its own, with your rights. Hosts and folders are declared, not enforced."
)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command works on; closed when it ends."""

    paths: Paths
    settings: Settings
    live: LiveInstaller
    connections: Connections
    output: Output
    answers: Answers
    progress: ProgressLine

    @property
    def installer(self) -> Installer:
        """What installs."""
        return self.live.installer

    async def plan(self, wanted: str, marketplace: str | None = None) -> Plan:
        """What installing a plugin would mean.

        Args:
            wanted: its id or name or a link to it, with `==VERSION` for another version than the newest.
            marketplace: only look there.

        Raises:
            JackfieldError: there is no such plugin or version, or nothing can be found out of it.
        """
        from registry.marketplace.finding import find_plugin
        from registry.marketplace.sources import find_source

        name, _, version = wanted.partition("==")
        with _naming():
            name = (linked_plugin(name) if name.startswith(PREFIX) else name).strip()
            if marketplace is not None:
                find_source(self.paths, marketplace)
            elif name in self._own_names():
                raise JackfieldError(
                    f"{name} is part of Jackfield", hint=f"`jackfield plugins enable {name}` switches it on."
                )
            found = await find_plugin(self.paths, name, marketplace)
        return await self.live.plan(found, version.strip() or None)

    def _own_names(self) -> set[str]:
        handles = self.live.registry.handles()
        return {handle.name for handle in handles if handle.publisher == BUILTIN_PUBLISHER}

    def orphans(self) -> list[InstalledPlugin]:
        """The plugins whose marketplace is no longer known."""
        known = {source.name for source in read_sources(self.paths)}
        return [plugin for plugin in self.live.installed().values() if plugin.marketplace not in known]

    def warn_of(self, orphans: Sequence[InstalledPlugin]) -> None:
        """Say of which plugins no newer version can be known."""
        for plugin in orphans:
            place = line(plugin.marketplace, 64)
            warn(
                f"{line(plugin.id, 130)} came from the marketplace {place}, which is no longer known: "
                "nothing newer of it can be found."
            )

    def installed(self, name: str) -> InstalledPlugin:
        """The installed plugin of an id or a name.

        Raises:
            JackfieldError: it was not installed from a marketplace.
        """
        from registry.marketplace.upkeep import find_installed

        with _naming():
            return find_installed(self.installer, name)

    async def refresh(self) -> None:
        """Fetch the newest catalogues, and heed what they revoke. One that does not come is warned of."""
        from registry.marketplace.repository import Marketplace
        from registry.marketplace.sources import read_sources

        async def fetch(marketplace: Marketplace) -> None:
            try:
                await marketplace.refresh()
            except JackfieldError as error:
                warn(f"{line(error.title)}. {line(error.detail, 300)} What came last is used.")

        self.progress.show(Progress("Looking for what is new"))
        places = [Marketplace(source, self.paths) for source in read_sources(self.paths)]
        await asyncio.gather(*(fetch(place) for place in places))
        self.progress.clear()
        warn_withdrawn(await self.live.apply_revocations())

    def show_step(self, plugin_id: str, step: Step) -> None:
        """Show how far an installation is; may be called from another thread."""
        if step.what == "done":
            self.progress.clear()
        else:
            label = _STEPS[step.what].format(line(plugin_id, 80))
            self.progress.show(Progress(label, step.done, step.total))

    def ask(self, *, agreed: bool) -> Asking:
        """Who is asked for consent.

        Args:
            agreed: `--yes` was given, so that nobody is asked.
        """
        return Asking(self, agreed=agreed)


@contextmanager
def _naming() -> Iterator[None]:
    """What is looked for here by its name and not found is an error of the command line."""
    try:
        yield
    except ConfigError:
        raise
    except JackfieldError as error:
        raise CommandError(error.title, detail=error.detail, hint=error.hint, code=Exit.USAGE) from error


class Asking:
    """Puts what a plugin asks for before the user, in plain words; No unless they type yes."""

    def __init__(self, desk: Desk, *, agreed: bool) -> None:
        self._desk = desk
        self._agreed = agreed

    async def __call__(self, request: Request) -> bool:
        """Whether they agree.

        Raises:
            CommandError: nobody is there to be asked.
        """
        self._desk.progress.clear()
        for text in request_lines(request):
            note(text)
        if self._agreed:
            return True
        if not self._desk.answers.from_person:
            raise CommandError(
                f"Nobody is here to agree to what {line(request.id, 130)} asks for",
                hint="Nothing was changed. Read it, then add --yes.",
                code=Exit.USAGE,
            )
        return await self._desk.answers.agrees("Do you agree?")


def request_lines(request: Request) -> list[str]:
    """What is put before the user; of an update, what it asks for beyond what was agreed to."""
    lines = [f"! {line(warning, 300)}" for warning in request.warnings]
    name = f"{line(request.id, 130)} {line(request.version)}"
    if not request.more:
        return [*lines, f"{name} asks for nothing{' more' if request.is_update else ''}.", _WHERE]
    head = "now also:" if request.is_update else "asks for this:"
    return [*lines, f"{name} {head}", *ask_lines(request.more), _WHERE]


def ask_lines(asks: tuple[Ask, ...]) -> list[str]:
    """What is asked for, a line each."""
    return [f"  - {line(ask.words, 300)}" for ask in asks]


def run_desk(work: Callable[[Desk], Awaitable[int]], *, safe_mode: bool) -> int:
    """Run a command on what this user has installed; gives its exit code.

    Raises:
        JackfieldError: what the command raises.
    """
    from registry.marketplace.live import LiveInstaller  # what installs is heavy, and not every command does
    from registry.startup import make_installer

    with StopSignals() as signals, only_answers_on_stdout() as output:
        paths = find_paths()
        config = load_config(paths)
        show_problems(config.problems)
        off = plugins_are_off(safe_mode=safe_mode)
        registry = ready_registry(paths, config.settings, plugins_off=off)
        connections = open_connections(registry, paths, config.settings)
        live = LiveInstaller(make_installer(paths, config.settings), registry, lambda: connections)
        desk = Desk(paths, config.settings, live, connections, output, Answers(), ProgressLine())
        return signals.run(_run(work, desk))


async def _run(work: Callable[[Desk], Awaitable[int]], desk: Desk) -> int:
    try:
        return await work(desk)
    finally:
        desk.progress.clear()
        await desk.connections.aclose()
        await desk.live.registry.aclose()
