"""Makes the snapshot anew: `python -m registry.catalogue.regenerate FOLDER`.

FOLDER holds what somebody fetched and unpacked by hand: the npm package `@earendil-works/pi-ai`, the Python
package `genai-prices`, or both. Nothing is downloaded, and no code of the packages runs. The same folder
gives the same snapshot, byte for byte.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

from registry.catalogue.catalogue import SNAPSHOT
from registry.catalogue.schema import Contents, Entry, ProviderFacts, read_contents, write_contents
from registry.catalogue.sources import Found, read_genai, read_pi
from registry.text import safe_text

MAX_BYTES: Final = 80_000
"""How large the snapshot may become, in bytes."""
NOTICE: Final = "Generated from MIT-licensed data. The licences stand in the file NOTICE beside the snapshot."
PROVIDERS: Final[Mapping[str, tuple[str, str]]] = {
    "anthropic": ("anthropic", "anthropic"),
    "openai": ("openai", "openai"),
    "gemini": ("google", "google"),
    "openrouter": ("openrouter", ""),
    "groq": ("groq", "groq"),
    "mistral": ("mistral", "mistral"),
    "deepseek": ("deepseek", "deepseek"),
    "xai": ("xai", "x-ai"),
    "together": ("together", "together"),
    "fireworks": ("fireworks", "fireworks"),
    "cerebras": ("cerebras", "cerebras"),
    "perplexity": ("", "perplexity"),
    "cohere": ("", "cohere"),
    "moonshot": ("moonshotai", "moonshotai"),
    "zai": ("zai", "zai"),
    "minimax": ("minimax", "minimax"),
    "nvidia": ("nvidia", ""),
    "huggingface": ("huggingface", ""),
    "vercel": ("vercel-ai-gateway", ""),
    "baseten": ("baseten", "baseten"),
    "cloudflare": ("cloudflare-workers-ai", "cloudflare"),
    "novita": ("", "novita"),
}
"""Our providers, and what pi-ai and genai-prices call them; empty where a source has none.

Of OpenRouter, genai-prices knows many old prices, so it is not asked. Azure is left out: its ids are names
that each customer chooses.
"""
UNPRICED: Final = frozenset({"huggingface"})
"""Routers whose price depends on who answers."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the snapshot; gives 1 when it could not be made."""
    parser = argparse.ArgumentParser(prog="python -m registry.catalogue.regenerate", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the packages are unpacked")
    parser.add_argument("--date", help="the day of the facts, as 2026-11-10; by default what pi-ai says")
    parser.add_argument("--to", type=Path, default=SNAPSHOT, help="the file to write")
    given = parser.parse_args(arguments)
    try:
        contents = make_contents(given.folder, given.date)
        packed = pack(contents)
    except (OSError, ValueError, KeyError, StopIteration) as error:
        _say(f"error: {type(error).__name__}: {error}")
        return 1
    given.to.write_bytes(packed)
    for name, facts in sorted(contents.providers.items()):
        prices = sum(entry.price is not None for entry in facts.models.values())
        _say(f"{name}: {len(facts.models)} models, {prices} prices, {len(facts.aliases)} aliases")
    _say(f"{given.to.name}: {len(packed):,} of {MAX_BYTES:,} bytes, facts of {contents.date}")
    return 0


def make_contents(folder: Path, day: str | None = None) -> Contents:
    """A catalogue from the packages in a folder.

    Raises:
        OSError, ValueError, KeyError: there is none, or one is not as it was when this was written.
    """
    pi = read_pi(folder)
    known = day or (pi.date if pi else "")
    if not known:
        raise ValueError("no package tells the day of its facts: give it with --date")
    genai = read_genai(folder, date.fromisoformat(known))
    found = [source for source in (pi, genai) if source is not None]
    if not found:
        raise ValueError("neither package is in that folder")
    providers = {
        name: _provider(pi, pi_name, genai, genai_name, priced=name not in UNPRICED)
        for name, (pi_name, genai_name) in PROVIDERS.items()
    }
    kept = {name: facts for name, facts in providers.items() if facts.models}
    return Contents(known, kept, tuple(source.source for source in found), NOTICE)


def pack(contents: Contents) -> bytes:
    """The snapshot's bytes, read back before they are given.

    Raises:
        ValueError: it would be too large, or could not be read.
    """
    text = write_contents(contents)
    if read_contents(text) != contents:
        raise ValueError("the snapshot does not read back as it was written")
    packed = gzip.compress(text, compresslevel=9, mtime=0)
    if len(packed) > MAX_BYTES:
        raise ValueError(f"the snapshot would have {len(packed):,} bytes, more than {MAX_BYTES:,}")
    return packed


def _provider(
    pi: Found | None, pi_name: str, genai: Found | None, genai_name: str, *, priced: bool
) -> ProviderFacts:
    """One provider's models: pi-ai's first, then those that only genai-prices knows."""
    models = dict(pi.models.get(pi_name, {})) if pi else {}
    others = genai.models.get(genai_name, {}) if genai else {}
    unsayable = genai.unsayable.get(genai_name, set()) if genai else set()
    if not pi_name:
        others = {key: replace(entry, chat=_answers(entry)) for key, entry in others.items()}
    models = {**others, **models}
    models = {
        key: replace(entry, price=None) if not priced or key in unsayable else entry
        for key, entry in models.items()
        if _sound(key)
    }
    aliases = genai.aliases.get(genai_name, {}) if genai else {}
    return ProviderFacts(
        models,
        {
            alias: target
            for alias, target in aliases.items()
            if alias not in models and target in models and _sound(alias)
        },
    )


def _answers(entry: Entry) -> bool:
    """Whether a model of genai-prices, which knows no kinds, surely writes text: it is paid by output."""
    return entry.price is not None


def _sound(model_id: str) -> bool:
    return bool(model_id) and safe_text(model_id, single_line=True, limit=200) == model_id


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
