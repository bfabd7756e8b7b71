"""What is known of models beside what their providers say: looked up by exact name, never guessed."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.catalogue.schema import Contents, Entry, read_contents
from registry.provider import Model

if TYPE_CHECKING:
    from registry.catalogue.prices import Price
    from registry.paths import Paths

SNAPSHOT: Final = Path(__file__).parent / "snapshot.json.gz"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model with what its provider does not say."""

    model: Model
    price: Price | None = None
    """Its list price; None when it is not known, or when nobody is paid."""


class Catalogue:
    """The packaged snapshot, or a refreshed copy of it.

    Args:
        contents: what it knows; nothing when left out.
    """

    def __init__(self, contents: Contents | None = None) -> None:
        self._contents = contents or Contents("0001-01-01")

    @classmethod
    def load(cls, paths: Paths) -> Catalogue:
        """The packaged snapshot, or the refreshed copy in the cache folder when that is newer and sound.

        Never raises; takes some ten milliseconds, so call it off the event loop.
        """
        packaged = _packaged()
        from registry.catalogue.refresh import read_copy

        copy = read_copy(paths)
        return cls(copy if copy is not None and copy.date > packaged.date else packaged)

    @property
    def date(self) -> str:
        """The day to which it is true, as `2026-11-10`."""
        return self._contents.date

    @property
    def providers(self) -> tuple[str, ...]:
        """The names of the providers that it knows."""
        return tuple(self._contents.providers)

    def chat_models(self, provider: str) -> list[Model]:
        """The models of a provider that answer chats, for when the provider itself cannot be asked."""
        facts = self._contents.providers.get(provider)
        if facts is None:
            return []
        return [_filled(Model(key), entry) for key, entry in facts.models.items() if entry.chat]

    def price(self, provider: str, model_id: str) -> Price | None:
        """The list price of the model with exactly this id or alias; None when it is not known."""
        entry = self._find(provider, model_id)
        return entry.price if entry else None

    def enrich(self, provider: str, model: Model) -> Model:
        """The model with what was not known of it. What its provider said stands.

        A `Model` cannot say "surely not": of one without any capability mark, the marks count as unknown.
        """
        entry = self._find(provider, model.id)
        return _filled(model, entry) if entry else model

    def facts(self, provider: str, model: Model) -> ModelFacts:
        """The enriched model and its price."""
        entry = self._find(provider, model.id)
        return ModelFacts(_filled(model, entry), entry.price) if entry else ModelFacts(model)

    def _find(self, provider: str, model_id: str) -> Entry | None:
        facts = self._contents.providers.get(provider)
        return facts.find(model_id) if facts else None


@lru_cache(maxsize=4)
def shared_catalogue(paths: Paths) -> Catalogue:
    """The catalogue of these folders, loaded once; `forget_catalogue` after it was refreshed."""
    return Catalogue.load(paths)


def forget_catalogue() -> None:
    """Have `shared_catalogue` load anew."""
    shared_catalogue.cache_clear()


def _packaged() -> Contents:
    try:
        return read_contents(gzip.decompress(SNAPSHOT.read_bytes()))
    except (OSError, EOFError, ValueError, KeyError, zlib.error):
        return Contents("0001-01-01")  # a damaged installation knows no prices, and chats all the same


def _filled(model: Model, entry: Entry) -> Model:
    unmarked = not model.reasoning and not model.tools and set(model.modalities) <= {"text"}
    filled = replace(
        model,
        name=model.name if model.name and model.name != model.id else entry.name,
        context_window=model.context_window or entry.context,
        output_limit=model.output_limit or entry.output,
    )
    if not unmarked:
        return filled
    return replace(
        filled,
        modalities=entry.modalities or model.modalities,
        reasoning=bool(entry.reasoning),
        tools=bool(entry.tools),
    )
