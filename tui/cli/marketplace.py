"""`jackfield marketplace add | list | refresh | remove`: which marketplaces plugins may come from."""

from __future__ import annotations

import json
from math import isinf
from typing import TYPE_CHECKING, Any

from registry.chat import Progress
from registry.errors import JackfieldError
from registry.paths import Paths, find_paths
from registry.text import counted
from tui.cli.answers import Answers
from tui.cli.output import (
    CommandError,
    Exit,
    format_table,
    line,
    note,
    paint,
    show_error,
    warn_withdrawn,
)
from tui.cli.progress import ProgressLine
from tui.cli.signals import StopSignals
from tui.words import age_words

if TYPE_CHECKING:
    from registry.marketplace.catalogue_index import Shelf
    from registry.marketplace.entry import Catalogue
    from registry.marketplace.sources import Source
    from registry.marketplace.trust import RootOffer

_HEADER = ("NAME", "PLUGINS", "AGE", "ADDRESS")


def add(where: str, *, name: str | None, fingerprint: str | None, agreed: bool, dry_run: bool = False) -> int:
    """Add a marketplace and fetch its catalogue; gives the exit code.

    Args:
        where: its address or folder.
        name: what to call it.
        fingerprint: what its root of trust has to be.
        agreed: add it without a question when the fingerprint is right.
        dry_run: show the fingerprint, compare it if one is given, and add nothing.
    """
    if agreed and fingerprint is None:
        raise CommandError(
            "--yes needs --fingerprint",
            hint="Whoever runs the marketplace says what its fingerprint is.",
            code=Exit.USAGE,
        )
    expected = None if fingerprint is None else fingerprint.replace(":", "").replace(" ", "").lower()
    with StopSignals() as signals:
        return signals.run(
            _add(find_paths(), where, name, _Question(expected, agreed=agreed, dry_run=dry_run))
        )


class _Question:
    """Whether a root of trust is agreed to."""

    def __init__(self, expected: str | None, *, agreed: bool, dry_run: bool) -> None:
        self.dry_run = dry_run
        self._expected = expected
        self._agreed = agreed
        self._answers = Answers()

    async def __call__(self, offer: RootOffer) -> bool:
        note(f"Marketplace  {line(offer.url)}")
        note(f"Fingerprint  {offer.fingerprint}")
        note(f"Keys         {offer.threshold} of {len(offer.keys)} sign a change of keys")
        if self._expected is not None and self._expected != offer.fingerprint:
            raise CommandError(
                "The fingerprint is another one",
                detail=f"Expected was {line(self._expected, 80)}.",
                hint="Nothing was added. Ask who runs it; someone may stand between.",
            )
        if self._agreed or self.dry_run:
            return not self.dry_run
        if not self._answers.from_person:
            raise CommandError(
                "Nobody is here to agree to the fingerprint",
                hint="Compare it, then add it with --fingerprint HEX --yes.",
                code=Exit.USAGE,
            )
        return await self._answers.agrees("Is this what its publisher says? Add it?")


async def _add(paths: Paths, where: str, name: str | None, confirm: _Question) -> int:
    from registry.marketplace.sources import add_source
    from registry.marketplace.transport import base_address

    try:
        url = base_address(where)
    except JackfieldError as error:
        raise CommandError(error.title, detail=error.detail, hint=error.hint, code=Exit.USAGE) from error
    source = await add_source(paths, url, name=name, confirm=confirm)
    if source is None:
        note("Nothing was added.")
        return Exit.DONE if confirm.dry_run else Exit.FAILED
    try:
        catalogue = await _fetch(paths, source)
    except JackfieldError:
        note(f"{source.name} was added, but its catalogue did not come; `refresh` tries again.")
        raise
    print(f"Added {source.name}: {counted(len(catalogue.entries), 'plugin')}.")
    await _heed_revocations(paths)
    return Exit.DONE


def list_marketplaces(*, as_json: bool) -> int:
    """Print the marketplaces that were added, and how old their catalogues are; gives the exit code."""
    from registry.marketplace.catalogue_index import load_index
    from registry.marketplace.sources import read_sources

    paths = find_paths()
    shelves = {shelf.name: shelf for shelf in load_index(paths).shelves}
    sources = read_sources(paths)
    if as_json:
        print(json.dumps([_facts(source, shelves[source.name]) for source in sources], indent=2))
        return Exit.DONE
    if not sources:
        note("No marketplace was added. `jackfield marketplace add WHERE` adds one.")
        return Exit.DONE
    cells = [
        (
            source.name,
            str(shelves[source.name].plugins),
            _age(shelves[source.name]),
            line(source.url),
        )
        for source in sources
    ]
    heading, rows = format_table(_HEADER, cells)
    print("\n".join([paint(heading, "heading"), *rows]))
    return Exit.DONE


def refresh(name: str | None, *, as_json: bool) -> int:
    """Fetch the newest catalogues; gives the exit code: 1 if one did not come."""
    from registry.marketplace.sources import read_sources

    paths = find_paths()
    sources = read_sources(paths) if name is None else (_known(paths, name),)
    if not sources:
        note("No marketplace was added.")
    with StopSignals() as signals:
        return signals.run(_refresh(paths, sources, as_json=as_json))


async def _refresh(paths: Paths, sources: tuple[Source, ...], *, as_json: bool) -> int:
    reports: list[dict[str, Any]] = []
    failed = False
    for source in sources:
        try:
            catalogue = await _fetch(paths, source)
        except JackfieldError as error:
            failed = True
            show_error(error)
            reports.append({"name": source.name, "refreshed": False, "reason": error.title})
            continue
        made_at = catalogue.made_at.isoformat()
        reports.append(
            {"name": source.name, "refreshed": True, "plugins": len(catalogue.entries), "made_at": made_at}
        )
        if not as_json:
            much = counted(len(catalogue.entries), "plugin")
            print(f"{source.name}: {much}, as of {catalogue.made_at:%Y-%m-%d}.")
    if as_json:
        print(json.dumps(reports, indent=2))
    await _heed_revocations(paths)
    return Exit.FAILED if failed else Exit.DONE


async def _heed_revocations(paths: Paths) -> None:
    """What a catalogue withdraws is switched off with its arrival, before anything starts it again."""
    from registry.config import load_config
    from registry.marketplace.upkeep import apply_revocations
    from registry.startup import make_installer

    installer = make_installer(paths, load_config(paths).settings)
    warn_withdrawn(await apply_revocations(installer))


def remove(name: str, *, dry_run: bool = False) -> int:
    """Forget a marketplace, or only say what that would mean; gives the exit code."""
    from registry.marketplace.installed import read_installed
    from registry.marketplace.sources import remove_source

    paths = find_paths()
    source = _known(paths, name)
    if dry_run:
        stay = [line(plugin.id) for plugin in read_installed(paths).values() if plugin.marketplace == name]
        print(f"{line(name)} would be forgotten. What stays installed: {', '.join(stay) or 'nothing'}.")
        return Exit.DONE
    remove_source(paths, source.name)
    print(f"Removed {line(name)}. What was installed from it stays.")
    return Exit.DONE


def _known(paths: Paths, name: str) -> Source:
    from registry.marketplace.sources import read_sources

    sources = {source.name: source for source in read_sources(paths)}
    if name not in sources:
        raise CommandError(
            f"There is no marketplace named {line(name, 64)}",
            detail=f"There are: {', '.join(sources)}." if sources else "None was added yet.",
            code=Exit.USAGE,
        )
    return sources[name]


async def _fetch(paths: Paths, source: Source) -> Catalogue:
    from registry.marketplace.repository import Marketplace

    progress = ProgressLine()
    try:
        return await Marketplace(source, paths).refresh(
            lambda done: progress.show(Progress(f"Fetching the catalogue of {source.name}", done))
        )
    finally:
        progress.clear()


def _age(shelf: Shelf) -> str:
    days = shelf.age_days()
    return "never fetched" if days is None else age_words(days)


def _facts(source: Source, shelf: Shelf) -> dict[str, Any]:
    checked = shelf.checked_at
    age = shelf.age_days()
    return {
        "name": source.name,
        "url": source.url,
        "fingerprint": source.fingerprint,
        "added_at": source.added_at.isoformat(),
        "plugins": shelf.plugins,
        "checked_at": checked.isoformat() if checked else None,
        "age_days": None if age is None or isinf(age) else round(age, 2),
    }
