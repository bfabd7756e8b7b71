"""The faults that the Responses dialect reports in the middle of an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from jackfield import ErrorKind
from providers.wire.errors import WireError, error_of_body, make_error

_KIND_OF_CODE: Final = {
    "invalid_prompt": ErrorKind.CONTENT_FILTER,
    "bio_policy": ErrorKind.CONTENT_FILTER,
    "misalignment_policy_violation": ErrorKind.CONTENT_FILTER,
    "image_content_policy_violation": ErrorKind.CONTENT_FILTER,
    "data_residency_mismatch": ErrorKind.PERMISSION,
    "vector_store_timeout": ErrorKind.TIMEOUT,
}
_OF_AN_IMAGE: Final = re.compile(r"\w*image\w*")


def error_of_failure(name: str, error: Mapping[str, object], otherwise: str) -> WireError:
    """The error that the `error` of a failed response, or an `error` event, stands for.

    Args:
        name: how the user calls the provider.
        error: with `code` and `message`, if there are any.
        otherwise: what to say where there is no message.
    """
    code, message = error.get("code"), error.get("message")
    words = message if isinstance(message, str) and message else otherwise
    if isinstance(code, str):
        kind = _KIND_OF_CODE.get(code)
        if kind is None and _OF_AN_IMAGE.fullmatch(code):
            kind = ErrorKind.BAD_REQUEST
        if kind is not None:
            return make_error(kind, name, detail=words)
    # The type of an event says that it is an error, and not which.
    known = {key: error[key] for key in ("code", "type", "status") if error.get(key) not in (None, "error")}
    return error_of_body(name, {**known, "message": words})
