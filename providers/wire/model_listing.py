"""Lists of models, in the shapes that servers answer `GET /models` with.

Most wrap them in `data`, some in `models`, some not at all; what they tell of a model is named differently by
each. What is not told is left open, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from jackfield import Model, safe_text

Json: TypeAlias = Mapping[str, object]

_MOST_MODELS: Final = 5000
_MOST_CHARACTERS: Final = 200

_WINDOWS: Final = (
    "context_length",
    "context_window",
    "max_model_len",
    "max_context_length",
    "max_input_tokens",
    "availableContextTokens",
    "n_ctx",
    "n_ctx_train",
)
_LIMITS: Final = ("max_completion_tokens", "max_output_tokens", "max_output_length", "max_tokens")
_NESTED: Final = ("top_provider", "metadata", "meta", "limits", "model_spec", "architecture", "model_info")
"""Objects of a model that hold facts of it."""
_MODALITIES: Final = ("input_modalities", "supported_input_modalities")
_WORD_LISTS: Final = ("supported_parameters", "supported_features", "features", "tags", "capabilities")
_WORDS: Final = {
    "image": {"vision", "image-input", "image_input", "supports_image_input", "supports_image_in"}
    | {"supports_vision", "supportsvision"},
    "reasoning": {"reasoning", "include_reasoning", "thinking", "supports_reasoning", "supportsreasoning"},
    "tools": {"tools", "tool-use", "tool_use", "tool-calling", "tool_calling", "tool_calls"}
    | {"function_calling", "function-calling", "supports_tools", "supports_function_calling"}
    | {"supports_tool_calling", "supportsfunctioncalling"},
}
_OTHER_TYPES: Final = (
    {"embedding", "embeddings", "moderation", "rerank", "reranker", "reranking", "upscale"}
    | {"image", "video", "text-to-image", "text-to-video", "image-generation"}
    | {"audio", "transcription", "transcribe", "transcriptions", "tts", "asr", "speech", "text-to-speech"}
)
_CHATS_NOT: Final = re.compile(
    r"(^|[-/_.])(embed|embedding|embeddings|rerank|reranker|moderation|whisper|tts|bge|dall-e)([-/_.\d]|$)"
)


def read_listing(body: object) -> tuple[Model, ...]:
    """The models in a list that may chat, in the server's order; none in anything else."""
    models: dict[str, Model] = {}
    for item in _items(body):
        model_id = _first_text(item, ("id", "name", "model"))
        # An id goes back to the server as it is, so one that could not be shown as it is is left out.
        if model_id and safe_text(model_id, single_line=True, limit=_MOST_CHARACTERS) == model_id:
            if model_id not in models and _chats(model_id, item):
                models[model_id] = _model(model_id, item)
            if len(models) >= _MOST_MODELS:
                break
    return tuple(models.values())


def fill_gaps(listed: Sequence[Model], known: Sequence[Model]) -> tuple[Model, ...]:
    """The listed models, with what is known of them where the list tells nothing."""
    facts = {model.id: model for model in known}
    return tuple(_completed(model, facts[model.id]) if model.id in facts else model for model in listed)


def _completed(listed: Model, known: Model) -> Model:
    return replace(
        listed,
        name=listed.name or known.name,
        context_window=listed.context_window or known.context_window,
        output_limit=listed.output_limit or known.output_limit,
        modalities=listed.modalities if len(listed.modalities) > 1 else known.modalities,
        reasoning=listed.reasoning or known.reasoning,
        tools=listed.tools or known.tools,
    )


def _items(body: object) -> Iterator[Json]:
    if isinstance(body, Mapping):
        body = next((body[key] for key in ("data", "models") if isinstance(body.get(key), list)), None)
    for item in body if isinstance(body, list) else ():
        if isinstance(item, str):
            yield {"id": item}
        elif isinstance(item, Mapping):
            yield item


def _model(model_id: str, item: Json) -> Model:
    facts = [item, *_objects(item)]
    words = _words(facts)
    modalities = _modalities(facts)
    if "image" not in modalities and words & _WORDS["image"]:
        modalities = (*modalities, "image")
    name = _first_text(item, ("display_name", "displayName", "name"))
    return Model(
        model_id,
        "" if name == model_id else safe_text(name, single_line=True, limit=_MOST_CHARACTERS),
        _most(facts, _WINDOWS),
        _most(facts, _LIMITS),
        modalities,
        reasoning=bool(words & _WORDS["reasoning"]),
        tools=bool(words & _WORDS["tools"]),
    )


def _objects(item: Json) -> Iterator[Json]:
    """The facts within: objects of the model, and what each server behind a router says of it."""
    for key in _NESTED:
        nested = item.get(key)
        if isinstance(nested, Mapping):
            yield nested
            capabilities = nested.get("capabilities")
            if isinstance(capabilities, Mapping):
                yield {"capabilities": capabilities}
    providers = item.get("providers")
    for provider in providers if isinstance(providers, list) else ():
        if isinstance(provider, Mapping):
            yield provider


def _most(facts: Sequence[Json], keys: Sequence[str]) -> int | None:
    """The first of the keys that tells a number, and the largest that any of the facts tells."""
    for key in keys:
        told = [value for fact in facts if type(value := fact.get(key)) is int and value > 0]
        if told:
            return max(told)
    return None


def _modalities(facts: Sequence[Json]) -> tuple[str, ...]:
    read = {word for fact in facts for key in _MODALITIES for word in _texts(fact.get(key))}
    if "pdf" in read:
        read.add("file")
    return ("text", *(kind for kind in ("image", "file") if kind in read))


def _words(facts: Sequence[Json]) -> set[str]:
    """Everything that a server says a model can do, in lower case."""
    words: set[str] = set()
    for fact in facts:
        for key in _WORD_LISTS:
            given = fact.get(key)
            words |= set(_texts(given))
            if isinstance(given, Mapping):
                words |= {str(name).lower() for name, value in given.items() if value is True}
        words |= {name for name, value in fact.items() if value is True and name.startswith("supports_")}
    return words


def _chats(model_id: str, item: Json) -> bool:
    if _CHATS_NOT.search(model_id.lower()) or item.get("active") is False or item.get("archived") is True:
        return False
    if str(item.get("type", "")).lower() in _OTHER_TYPES or item.get("supports_chat") is False:
        return False
    capabilities = item.get("capabilities")
    if isinstance(capabilities, Mapping) and capabilities.get("completion_chat") is False:
        return False
    endpoints = _texts(item.get("endpoints"))
    if endpoints and "chat" not in endpoints:
        return False
    architecture = item.get("architecture")
    for fact in (item, architecture if isinstance(architecture, Mapping) else {}):
        for key in ("output_modalities", "supported_output_modalities"):
            written = _texts(fact.get(key))
            if written and "text" not in written:
                return False
    return True


def _texts(value: object) -> list[str]:
    return [text.lower() for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _first_text(item: Json, keys: Sequence[str]) -> str:
    return next((value for key in keys if isinstance(value := item.get(key), str) and value), "")
