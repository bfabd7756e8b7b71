"""Writes the parts of the protocol's documentation that follow from its models.

Run `python -m registry.runtimes.reference` after a change of `protocol.py`; a test fails until that is done.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from registry.runtimes.framing import PROTOCOL
from registry.runtimes.protocol import METHODS, ErrorData, Method

DOCS: Final = Path(__file__).parents[2] / "docs"
BEGIN: Final = "<!-- generated: methods -->"
END: Final = "<!-- end -->"


def schema_text() -> str:
    """The JSON Schema of every parameter and result, as a file; `methods` says what belongs to which."""
    models = _models()
    mode: Any = [(model, "validation") for model in models]
    _, schema = models_json_schema(mode, title=f"Jackfield plugin protocol {PROTOCOL}")
    methods = {
        method.name: {
            "kind": method.kind,
            "params": f"#/$defs/{method.params.__name__}",
            "result": None if method.result is None else f"#/$defs/{method.result.__name__}",
        }
        for method in METHODS
    }
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "methods": methods}
    return json.dumps(whole, indent=1, sort_keys=True) + "\n"


def _models() -> list[type[BaseModel]]:
    found: list[type[BaseModel]] = [ErrorData]
    for method in METHODS:
        found += [model for model in (method.params, method.result) if model is not None]
    return found


def methods_text() -> str:
    """The methods as Markdown."""
    return "\n".join(line for method in METHODS for line in _method_lines(method))


def _method_lines(method: Method) -> Iterator[str]:
    yield f"### `{method.name}`"
    yield ""
    yield f"{method.says} A {method.kind}."
    yield ""
    yield f"* parameters: {_fields(method.params)}"
    if method.kind == "call":
        yield f"* result: {'null' if method.result is None else _fields(method.result)}"
    yield ""


def _fields(model: type[BaseModel]) -> str:
    names = [f"`{name}`" for name in model.model_fields]
    return f"{', '.join(names)} (`{model.__name__}`)" if names else "none"


def with_methods(page: str) -> str:
    """The page with its generated part as it has to be.

    Raises:
        ValueError: it has no such part.
    """
    before, found, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError("the page has no generated part")
    return f"{before}{BEGIN}\n\n{methods_text()}\n{END}{after}"


def main() -> None:
    """Write both files."""
    page = DOCS / "plugin-protocol.md"
    page.write_text(with_methods(page.read_text(encoding="utf-8")), encoding="utf-8")
    (DOCS / "plugin-protocol.schema.json").write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
