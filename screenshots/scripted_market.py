"""A marketplace that is the same every time, with installations that stand still: for the pictures."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from jackfield import Capabilities
from registry.errors import JackfieldError
from registry.manifest import CommandEntry, Manifest, Runtime
from registry.marketplace.catalogue_index import CatalogueIndex, Shelf
from registry.marketplace.consent import Ask, Request, asks_of
from registry.marketplace.entry import Details, Entry
from registry.marketplace.finding import Found
from registry.marketplace.install import Step
from registry.marketplace.installed import InstalledPlugin, InstalledVersion
from registry.marketplace.repository import Marketplace
from registry.marketplace.rows import Row
from registry.marketplace.sources import Source
from registry.marketplace.trust import RootOffer
from tui.market_jobs import Job, JobState
from tui.market_pages import Known
from tui.market_text import Origin

if TYPE_CHECKING:
    from tui.app import JackfieldApp
    from tui.marketplace import Storefront

_DAY: Final = datetime(2026, 3, 9, 12, tzinfo=UTC)
_SUMMARIES: Final = {
    "jackfield/redactor": ("Takes secrets out of what is sent, and puts them back", ["hook"], "2.0.0", True),
    "jackfield/translate": ("/translate LANGUAGE: the last answer in another", ["command"], "1.1.0", True),
    "acme/anvil": ("Anvil models, with a sign-in in the browser", ["provider", "auth"], "0.9.2", False),
    "umbrella/notes": ("Keeps answers as Markdown files in a folder", ["command"], "3.1.0", False),
    "umbrella/weather": ("Tells the model the weather outside", ["hook"], "1.0.4", False),
    "zeta/recorder": ("Records what is said", ["hook"], "0.3.0", False),
}  # fmt: skip
_ASKS: Final = {
    "jackfield/redactor": ["host", "environment"],
    "acme/anvil": ["host"],
    "umbrella/notes": ["folder"],
    "umbrella/weather": ["host"],
    "zeta/recorder": ["host", "folder"],
}
_README: Final = """\
# Redactor

Keeps **secrets** on this machine. Keys, tokens and passwords are replaced before a
request is sent, and put back into the answer *here*.

- finds the common shapes of keys
- patterns of your own in `config.toml`

```toml
[plugins.redactor.options]
patterns = ["ACME-[0-9]{8}"]
```
"""
REQUEST: Final = Request(
    "jackfield/redactor",
    "2.0.0",
    (
        Ask("command", "redact"),
        Ask("dependency", "regex"),
        Ask("environment", "REDACTOR_KEY"),
        Ask("guard", ""),
        Ask("hook", "on_request"),
        Ask("hook", "on_response"),
        Ask("host", "rules.redactor.example"),
    ),
    (),
    is_update=False,
)
UPDATE: Final = Request(
    REQUEST.id, REQUEST.version, REQUEST.asks, (REQUEST.asks[2], REQUEST.asks[6]), is_update=True
)
NEW_ORIGIN: Final = Origin("official", "5f0c7d1e92ab" + "0" * 52, 48_000)
UPDATE_ORIGIN: Final = Origin("official", NEW_ORIGIN.sha256, 48_000, "1.0.0", "c41b90aa37de" + "0" * 52)
OFFER: Final = RootOffer(
    "https://plugins.example.org/",
    b"",
    "8f3a1c5d77e024b96d0f51ac3be8924770c4de1f98b2635a4e7d10c9f2a86b3e",
    ("51ac3be8924770c4" * 4, "98b2635a4e7d10c9" * 4, "d0f51ac3be892477" * 4),
    2,
    datetime(2027, 3, 9, tzinfo=UTC),
)


async def _nothing(*_given: Any, **_named: Any) -> None:
    """Stands in for what would look at a disk or a network."""


async def stock(app: JackfieldApp, *, age: timedelta = timedelta(hours=2)) -> Storefront:
    """Put plugins on the shelf of an app that is ready; nothing is asked of a network."""
    shop = app.host.storefront
    await shop.load()
    now = datetime.now(UTC)
    rows = [_row(plugin_id) for plugin_id in _SUMMARIES]
    shop.index = CatalogueIndex([*shop.index.rows, *rows], [Shelf("official", len(rows), now - age)])
    shop.sources = (Source("official", "https://plugins.example.org/", "0" * 64, _DAY),)
    shop.installed = {"jackfield/redactor": _installed()}
    app.host.registry.register_manifest(_manifest("1.0.0"), enabled=True)
    shop._note_installed()  # noqa: SLF001 - a picture puts together what takes a server otherwise
    for name in ("load", "refresh", "read_installed", "_look_again"):
        setattr(shop, name, _nothing)

    async def known(row: Row) -> Known:
        return _known(app, row)

    shop.known = known  # type: ignore[method-assign]
    return shop


def install(shop: Storefront) -> None:
    """Two installations that stand still, one that failed."""
    jobs = {
        "umbrella/notes": Job("umbrella/notes", "official", None, state=JobState.WORKING),
        "acme/anvil": Job("acme/anvil", "official", None, state=JobState.WORKING),
    }
    jobs["umbrella/notes"].step = Step("download", 310_000, 480_000)
    jobs["acme/anvil"].step = Step("dependencies")
    shop.jobs._jobs.update({job.key: job for job in jobs.values()})  # noqa: SLF001


def fail(shop: Storefront) -> None:
    """An installation that failed."""
    job = Job("umbrella/weather", "official", None, state=JobState.FAILED)
    job.error = JackfieldError(
        "official gave something that must not be believed",
        detail="weather-1.0.4-py3-none-any.whl has another size or content.",
        hint="Nothing was changed. Try again later; if it stays so, tell who runs the marketplace.",
    )
    shop.jobs._jobs[job.key] = job  # noqa: SLF001


def _row(plugin_id: str) -> Row:
    summary, kinds, version, verified = _SUMMARIES[plugin_id]
    asks = _ASKS.get(plugin_id, ())
    reason = "It was revoked: it sent what it recorded elsewhere." if plugin_id == "zeta/recorder" else ""
    return Row(
        "official", plugin_id, summary, version, _DAY.timestamp(), 48_000, kinds, ["privacy"], [], asks,
        "process", "MIT", verified, "active", "", "0", 1, ["linux", "macos", "windows"], "", reason,
        False, False,
    )  # fmt: skip


def _manifest(version: str) -> Manifest:
    return Manifest(
        "redactor",
        version,
        summary=_SUMMARIES["jackfield/redactor"][0],
        publisher="jackfield",
        runtime=Runtime.PROCESS,
        guard=True,
        hooks=("on_request", "on_response"),
        commands=(CommandEntry("redact", "Shows what is kept back", "", "redactor"),),
        capabilities=Capabilities(hosts=("rules.redactor.example",))
        if version == "2.0.0"
        else Capabilities(),
    )


def _installed() -> InstalledPlugin:
    manifest = _manifest("1.0.0")
    version = InstalledVersion(
        "1.0.0", "c" * 64, "c" * 64, "", "2026-03-01T12:00:00+00:00", manifest.to_json(), {}
    )
    earlier = InstalledVersion(
        "0.9.0", "d" * 64, "d" * 64, "", "2026-02-01T12:00:00+00:00", manifest.to_json(), {}
    )
    asks = tuple((ask.kind, ask.what) for ask in asks_of(manifest))
    return InstalledPlugin("jackfield/redactor", "official", version, (earlier,), asks=asks)


def _known(app: JackfieldApp, row: Row) -> Known:
    numbers = [row.version, "1.0.0"] if row.version != "1.0.0" else [row.version]
    versions = [
        {
            "version": number,
            "artefact": {"path": f"files/{'0' * 64}/x.whl", "sha256": "0" * 64, "size": row.size},
            "uploaded_at": _DAY - timedelta(days=40 * place),
        }
        for place, number in enumerate(numbers)
    ]
    entry = Entry.model_validate(
        {"id": row.id, "summary": row.summary, "verified": row.verified, "versions": versions}
    )
    manifest = _manifest("2.0.0")
    about = {"manifest": asdict(manifest), "launch": {}}
    details = Details.model_validate(
        {"id": row.id, "readme": _README, "changelog": "# Changes\n\n- 2.0.0 fetches its rules.\n",
         "versions": dict.fromkeys(numbers, about)}
    )  # fmt: skip
    if row.name != "redactor":
        details = details.model_copy(update={"readme": f"# {row.name.capitalize()}\n\n{row.summary}.\n"})
    place = Marketplace(app.host.storefront.sources[0], app.host.paths)
    return Known(Found(place, entry, (), is_old=False), details, entry.versions[0], asks_of(manifest))
