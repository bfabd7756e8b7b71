"""The conversation as one widget: streams Markdown, scrolls, searches, copies, whatever its length.

`Transcript` is the widget, `TranscriptMessage` what goes into it; the other names are the messages that it
posts. `warm_up()` imports, in a thread and after the first frame, what parsing and highlighting need.
"""

from tui.transcript.messages import (
    Copied,
    FollowingChanged,
    LinkClicked,
    Role,
    SearchMoved,
    TranscriptMessage,
)
from tui.transcript.view import Transcript


def warm_up() -> None:
    """Import markdown-it and Pygments, in a thread and after the first frame.

    It takes some tenths of a second. What is loaded then stays for good, so it is also taken out of the
    garbage collector's sight: a full collection over it is the longest pause that was measured while text
    streams.
    """
    import gc

    from tui.transcript import code, inline

    inline.parse_inline("**warm** `up`")
    inline.define_links("[a]: b", {})
    code.warm_up()
    gc.freeze()


__all__ = [
    "Copied",
    "FollowingChanged",
    "LinkClicked",
    "Role",
    "SearchMoved",
    "Transcript",
    "TranscriptMessage",
    "warm_up",
]
