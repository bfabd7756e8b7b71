"""What a marketplace says of its plugins: a small entry each for lists, the details for who looks closer.

The status words are those of the Python package index: PEP 792 for a plugin, PEP 592 (yanked) for a version.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    StringConstraints,
    model_validator,
)

from registry.capabilities import Capability
from registry.manifest import Kind
from registry.text import safe_text

SCHEMA: Final = 1
"""The version of the catalogue's form. A newer one is refused, with the advice to update the app."""
MOST_PLUGINS: Final = 50_000
MOST_VERSIONS: Final = 500
_DEEPEST: Final = 40


Moment: TypeAlias = Annotated[
    AwareDatetime, Field(ge=datetime(1980, 1, 1, tzinfo=UTC), le=datetime(9000, 1, 1, tzinfo=UTC))
]
"""A time that can be counted on from: Python's calendar ends with the year 9999."""


def _line(text: str) -> str:
    return str(safe_text(text, single_line=True, limit=300))


def _text(text: str) -> str:
    return str(safe_text(text, limit=200_000))


def _clean(value: Any, depth: int = 0) -> Any:
    """JSON data with every text made safe to show."""
    if depth > _DEEPEST:
        raise ValueError("it is too deep")
    if isinstance(value, str):
        return str(safe_text(value))
    if isinstance(value, list):
        return [_clean(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {str(safe_text(key)): _clean(item, depth + 1) for key, item in value.items()}
    return value


def _unhidden(value: dict[str, Any]) -> dict[str, Any]:
    """What is run is never changed: a command line with anything hidden in it is refused."""
    if _clean(value) != value:
        raise ValueError("there is something hidden in how it is started")
    return value


Line: TypeAlias = Annotated[str, AfterValidator(_line)]
"""One line from outside, made safe to show."""
Text: TypeAlias = Annotated[str, AfterValidator(_text)]
"""Text from outside, made safe to show."""
Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=64)]
"""A publisher's or a plugin's name. There is one way to write it, so no list of names is walked around."""
PluginId: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*/[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=129),
]
"""`publisher/name`."""
Sha256: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Requirements: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[\n\x20-\x7e]*$", max_length=2_000_000)]
"""A requirements file: never cut, as text to show is."""
VersionText: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.post[0-9]+)?$", max_length=40)
]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Status(StrEnum):
    """How a plugin stands with who runs the marketplace (PEP 792)."""

    ACTIVE = "active"
    DEPRECATED = "deprecated"
    """Obsolete; still installable, with a warning."""
    ARCHIVED = "archived"
    """Not developed any more; still installable, with a warning."""
    QUARANTINED = "quarantined"
    """Held back as unsafe; cannot be installed."""


class Severity(StrEnum):
    """What a revocation does."""

    WARN = "warn"
    """Who has the version is told; it stays on."""
    DISABLE = "disable"
    """The version is switched off before any of its code runs, and cannot be installed."""
    QUARANTINE = "quarantine"
    """As `DISABLE`, for what is harmful."""


class Artefact(_Data):
    """The file that holds a version's own code."""

    path: Annotated[str, StringConstraints(pattern=r"^files/[0-9a-f]{64}/[A-Za-z0-9._+-]{1,200}$")]
    """Where it is, relative to the marketplace."""
    sha256: Sha256
    size: int = Field(gt=0, le=200_000_000)
    """Bytes."""


class Version(_Data):
    """One version of a plugin."""

    version: VersionText
    artefact: Artefact
    requirements_sha256: Sha256 | None = None
    """The hash of `Details.requirements[version]`; None without dependencies."""
    uploaded_at: Moment
    min_app: VersionText = "0"
    protocol: int = 1
    """The plugin protocol that it speaks."""
    platforms: tuple[Literal["linux", "macos", "windows"], ...] = ("linux", "macos", "windows")
    python: Line = ""
    """The Python versions that it runs on, as a specifier of PEP 440; empty for any."""
    yanked: Line = ""
    """Why it should not be installed any more (PEP 592); a lock file still may. Empty when all is well."""
    security: bool = False
    """Whether it mends a hole: then no minimum age is asked for."""


class Entry(_Data):
    """A plugin as lists show it."""

    id: PluginId
    summary: Line = ""
    tags: tuple[Name, ...] = ()
    kinds: tuple[Kind, ...] = ()
    contributions: tuple[Line, ...] = ()
    """Names and titles of its providers, commands and hooks in the newest version, to be searched."""
    capabilities: tuple[Capability, ...] = ()
    """What of this kind its newest version asks for; which ones, the details say."""
    runtime: Literal["process"] = "process"
    licence: Line = ""
    verified: bool = False
    """Whether the marketplace has checked who publishes it."""
    status: Status = Status.ACTIVE
    status_reason: Line = ""
    versions: tuple[Version, ...] = Field(max_length=MOST_VERSIONS)
    """The newest first."""

    @property
    def publisher(self) -> str:
        """Who publishes it."""
        return self.id.partition("/")[0]

    @property
    def name(self) -> str:
        """What the plugin calls itself."""
        return self.id.partition("/")[2]

    def version(self, wanted: str) -> Version | None:
        """The version of this number, if there is one."""
        return next((version for version in self.versions if version.version == wanted), None)


class Revocation(_Data):
    """Versions that must not run any more."""

    id: PluginId
    versions: tuple[VersionText, ...] = ()
    """Empty for all."""
    severity: Severity
    reason: Line
    link: HttpUrl | None = None


class Catalogue(_Data):
    """All plugins of one marketplace."""

    schema_version: int = SCHEMA
    name: Name
    title: Line = ""
    description: Line = ""
    made_at: Moment
    entries: tuple[Entry, ...] = Field(max_length=MOST_PLUGINS)
    revocations: tuple[Revocation, ...] = ()
    removed: tuple[PluginId, ...] = ()
    """Ids that may never be used again."""

    @model_validator(mode="after")
    def _each_id_once(self) -> Catalogue:
        ids = [entry.id for entry in self.entries]
        if len(set(ids)) != len(ids) or not set(ids).isdisjoint(self.removed):
            raise ValueError("an id stands there twice, or was removed")
        return self


class VersionDetails(_Data):
    """What one version is made of."""

    manifest: Annotated[dict[str, Any], AfterValidator(_clean)]
    """As `registry.manifest.Manifest.to_json` writes it: capabilities and contributions."""
    launch: Annotated[dict[str, Any], AfterValidator(_unhidden)]
    """How it is started, as `Launch.from_json` reads it; `commands` has a command line for each platform."""
    requirements: Requirements = ""
    """The closure of its dependencies, as a requirements file with the hashes for all platforms."""


class Details(_Data):
    """What the screen that inspects a plugin shows, and an installation needs."""

    id: PluginId
    readme: Text = ""
    """Markdown."""
    changelog: Text = ""
    """Markdown."""
    links: dict[Line, HttpUrl] = {}
    versions: dict[VersionText, VersionDetails]


__all__ = [
    "SCHEMA",
    "Artefact",
    "Catalogue",
    "Details",
    "Entry",
    "Kind",
    "Line",
    "Moment",
    "Name",
    "PluginId",
    "Revocation",
    "Severity",
    "Sha256",
    "Status",
    "Text",
    "Version",
    "VersionDetails",
    "VersionText",
]
