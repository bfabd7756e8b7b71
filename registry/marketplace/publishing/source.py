"""The folder that a marketplace is built from: `marketplace.toml`, and `PUBLISHER/PLUGIN/plugin.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, HttpUrl, TypeAdapter, ValidationError

from registry.errors import JackfieldError, reason_of
from registry.marketplace.entry import Line, Name, PluginId, Revocation, Status, VersionText
from registry.text import safe_text

Platform: TypeAlias = Literal["linux", "macos", "windows"]
SOURCE_FILE: Final = "marketplace.toml"
PLUGIN_FILE: Final = "plugin.toml"

_M = TypeVar("_M", bound=BaseModel)


class PublishError(JackfieldError):
    """A marketplace cannot be built or signed from what is there."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MarketplaceFile(_Strict):
    """What `marketplace.toml` says."""

    name: Name
    title: Line = ""
    description: Line = ""
    revocations: tuple[Revocation, ...] = ()
    removed: tuple[PluginId, ...] = ()
    """Ids that were taken away; they stay taken for ever."""
    accepted: tuple[PluginId, ...] = ()
    """Ids whose likeness to another one `check` found, and a person judged harmless."""


class PluginFile(_Strict):
    """What `plugin.toml` says; all of it may be left out."""

    tags: tuple[Name, ...] = ()
    verified: bool = False
    """Whether who runs the marketplace has checked who publishes it."""
    status: Status = Status.ACTIVE
    status_reason: Line = ""
    licence: Line = ""
    """An SPDX expression; of a wheel, its own metadata say it."""
    links: dict[Line, HttpUrl] = {}
    platforms: tuple[Platform, ...] = ()
    """Where it runs; empty for wherever its files and commands allow."""
    min_app: VersionText = "0"
    security: tuple[VersionText, ...] = ()
    """Versions that mend a hole: they need not wait out the minimum age."""
    yanked: dict[VersionText, Line] = {}
    """Versions that should not be installed any more, each with the reason."""
    command: dict[Platform, tuple[str, ...]] = {}
    """The command line of a plugin that is no wheel, for each platform that it runs on."""


@dataclass(frozen=True, slots=True)
class PluginSource:
    """One plugin's folder."""

    id: str
    folder: Path
    about: PluginFile

    @property
    def name(self) -> str:
        """What the plugin calls itself."""
        return self.id.partition("/")[2]

    def text(self, name: str) -> str:
        """A text beside `plugin.toml`; empty when it is not there.

        Raises:
            PublishError: it cannot be read.
        """
        try:
            return (self.folder / name).read_text("utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise PublishError(f"{name} of {self.id} cannot be read", detail=shown(error)) from error

    def files(self) -> list[Path]:
        """The files of its versions: wheels and archives, sorted by name."""
        folder = self.folder / "dist"
        found = folder.iterdir() if folder.is_dir() else ()
        return sorted(path for path in found if path.name.endswith((".whl", ".tar.gz", ".zip")))


@dataclass(frozen=True, slots=True)
class MarketplaceSource:
    """The whole folder."""

    folder: Path
    about: MarketplaceFile
    plugins: tuple[PluginSource, ...]


def read_marketplace(folder: Path) -> MarketplaceSource:
    """Read what a marketplace is to be built from.

    Raises:
        PublishError: it says something that cannot be.
    """
    about = _read(folder / SOURCE_FILE, MarketplaceFile)
    plugins = [read_plugin(file.parent) for file in sorted(folder.glob(f"*/*/{PLUGIN_FILE}"))]
    return MarketplaceSource(folder, about, tuple(plugins))


def read_plugin(folder: Path) -> PluginSource:
    """Read the folder of one plugin, named by its id.

    Raises:
        PublishError: it says something that cannot be, or has no name that is allowed.
    """
    plugin_id = f"{folder.parent.name}/{folder.name}"
    try:
        TypeAdapter(PluginId).validate_python(plugin_id)
    except ValidationError as error:
        raise PublishError(
            f"{shown(plugin_id)} is no id of a plugin",
            detail="An id has one spelling: lower-case letters, digits, single `-`, as acme/some-plugin.",
            hint="Rename the folder.",
        ) from error
    return PluginSource(plugin_id, folder, _read(folder / PLUGIN_FILE, PluginFile))


def _read(file: Path, kind: type[_M]) -> _M:
    try:
        return kind.model_validate(tomllib.loads(file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PublishError(f"{shown(file)} cannot be read", detail=shown(error)) from error
    except ValidationError as error:
        raise PublishError(
            f"{shown(file)} says what it must not", detail=explained_validation(error)
        ) from error


def explained_validation(error: ValidationError) -> str:
    """What is wrong, a line each, with where it stands."""
    problems = [
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors()[:8]
    ]
    return "\n".join(shown(problem) for problem in problems)


def shown(text: object) -> str:
    """Text of a file or an error, safe to show, in one line."""
    if isinstance(text, Exception):
        return reason_of(text)
    return safe_text(str(text), single_line=True, limit=400)
