"""The widget as a reader meets it: following, scrolling, copying, searching, selecting."""

import asyncio
import re
from collections.abc import Callable

import pytest
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import TextArea

from tui.transcript import (
    Copied,
    FollowingChanged,
    LinkClicked,
    SearchMoved,
    Transcript,
    TranscriptMessage,
)

UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
CODE = "```python\nprint(1)\n\tx = 2\n```"


class Conversation(App[None]):
    """A transcript with a composer below it."""

    def __init__(self, messages: list[TranscriptMessage] | None = None) -> None:
        super().__init__()
        self.messages = messages or []
        self.posted: list[Message] = []

    def compose(self) -> ComposeResult:
        yield Transcript()
        yield TextArea()

    def on_mount(self) -> None:
        self.query_one(TextArea).styles.height = 3
        self.query_one(Transcript).load(self.messages)

    def on_copied(self, message: Copied) -> None:
        self.posted.append(message)

    def on_link_clicked(self, message: LinkClicked) -> None:
        self.posted.append(message)

    def on_search_moved(self, message: SearchMoved) -> None:
        self.posted.append(message)

    def on_following_changed(self, message: FollowingChanged) -> None:
        self.posted.append(message)

    @property
    def transcript(self) -> Transcript:
        return self.query_one(Transcript)


def said(number: int, text: str = "", role: str = "assistant") -> TranscriptMessage:
    return TranscriptMessage(f"m{number}", role, text or f"message {number}", label=role)  # type: ignore[arg-type]


def view(app: App[None]) -> list[str]:
    """The lines of the transcript that are on screen."""
    transcript = app.query_one(Transcript)
    return [transcript.render_line(y).text.rstrip() for y in range(transcript.size.height)]


async def until(pilot: Pilot[None], condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, five seconds at most."""
    for _ in range(500):
        await pilot.pause()
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"waited in vain for: {what}\n" + "\n".join(view(pilot.app)))


async def drawn(pilot: Pilot[None], transcript: Transcript) -> None:
    await until(pilot, lambda: not transcript.busy, "the text to be drawn")


def follows(app: Conversation) -> bool:
    return app.transcript.following


async def test_a_conversation_opens_at_its_end() -> None:
    app = Conversation([said(number) for number in range(500)])
    async with app.run_test(size=(60, 20)):
        assert "message 499" in view(app)[-1]
        prepared = sum(entry.prepared for entry in app.transcript.document.entries)
        assert prepared < 60, f"{prepared} of 500 messages were parsed to show one screen"


async def test_streamed_text_appears_and_is_followed() -> None:
    app = Conversation()
    async with app.run_test(size=(60, 12)) as pilot:
        transcript = app.transcript
        transcript.open("a", label="model")
        for number in range(60):
            transcript.append(f"line {number}\n\n")
        await until(pilot, lambda: "  line 59" in view(app), "the last line")
        transcript.close("stopped")
        await drawn(pilot, transcript)
        assert view(app)[-1] == "  stopped"
        assert transcript.following


async def test_scrolling_up_lets_go_and_the_end_key_follows_again() -> None:
    app = Conversation([said(number) for number in range(40)])
    async with app.run_test(size=(60, 12)) as pilot:
        transcript = app.transcript
        transcript.focus()
        await pilot.press("up", "up", "up")
        assert not follows(app)
        before = view(app)
        transcript.open("new")
        transcript.append("more\n\n" * 30)
        await drawn(pilot, transcript)
        assert view(app)[:-1] == before[:-1], "text below moved what the reader was looking at"
        assert "more below" in view(app)[-1]
        await pilot.press("end")
        assert follows(app)
        assert view(app)[-1] == "  more"
        transcript.append("last")
        transcript.close()
        await drawn(pilot, transcript)
        assert view(app)[-1] == "  last"
        assert [message.following for message in app.posted if isinstance(message, FollowingChanged)] == [
            False,
            True,
        ]


async def test_scrolling_to_the_bottom_by_hand_follows_again() -> None:
    app = Conversation([said(number) for number in range(40)])
    async with app.run_test(size=(60, 12)) as pilot:
        app.transcript.focus()
        await pilot.press("pageup")
        assert not follows(app)
        await pilot.press("pagedown", "pagedown")
        assert follows(app)


async def test_scrolling_up_line_by_line_shows_every_line_once() -> None:
    texts = [
        said(number, f"start{number} " + "word " * (number * 7 % 90) + f"stop{number}")
        for number in range(24)
    ]
    app = Conversation(texts)
    async with app.run_test(size=(50, 12)) as pilot:
        transcript = app.transcript
        transcript.focus()
        lines = view(app)
        for _ in range(2000):
            await pilot.press("up")
            now = view(app)
            if now[1:] != lines[:11] and transcript.scroll_y > 0:
                assert now[1:] == lines[: len(now) - 1], "a corrected estimate made the text jump"
            lines[:0] = now[:1]
            if transcript.scroll_y == 0:
                break
        seen = " ".join(lines)
        assert all(f"start{number} " in seen and f"stop{number}" in seen for number in range(24))
        assert transcript.scroll_y == 0


async def test_home_and_end_reach_the_first_and_the_last_line() -> None:
    app = Conversation([said(number, "text " * number) for number in range(1, 200)])
    async with app.run_test(size=(50, 12)) as pilot:
        app.transcript.focus()
        await pilot.press("home")
        assert view(app)[:2] == ["  assistant", "  text"]
        await pilot.press("end")
        assert view(app)[-1].startswith("  text")
        assert app.transcript.following


@pytest.mark.parametrize("size", [(20, 5), (120, 40), (33, 9)])
async def test_a_resize_while_text_streams_keeps_following(size: tuple[int, int]) -> None:
    app = Conversation([said(number, "word " * 50) for number in range(20)])
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = app.transcript
        transcript.open("a")
        for number in range(100):
            transcript.append(f"- item {number} with some words\n")
            if number == 50:
                await pilot.resize_terminal(*size)
        transcript.append("\nthe end")
        await drawn(pilot, transcript)
        assert any("the end" in line for line in view(app))
        transcript.close()
        await drawn(pilot, transcript)
        assert transcript.virtual_size.height == transcript.document.total


async def test_a_resize_keeps_the_readers_place() -> None:
    app = Conversation([said(number, f"start{number} " + "word " * 60) for number in range(80)])
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.focus()
        await pilot.press(*["pageup"] * 5)
        place = app.transcript.document.locate(app.transcript.scroll_offset.y)
        await pilot.resize_terminal(40, 24)
        await pilot.pause()
        now = app.transcript.document.locate(app.transcript.scroll_offset.y)
        assert now[:2] == place[:2]


async def test_a_forward_reference_becomes_a_link_when_the_answer_is_complete() -> None:
    app = Conversation()
    async with app.run_test(size=(60, 12)) as pilot:
        transcript = app.transcript
        transcript.open("a")
        transcript.append("see [the page][p] now\n\nmore\n\n")
        await drawn(pilot, transcript)
        assert "[the page][p]" in "".join(view(app))
        transcript.append("[p]: https://example.org\n")
        transcript.close()
        await drawn(pilot, transcript)
        assert "see the page now" in "".join(view(app))


async def test_thinking_is_shown_then_folded_and_unfolds_with_a_key_or_a_click() -> None:
    app = Conversation()
    async with app.run_test(size=(60, 14)) as pilot:
        transcript = app.transcript
        transcript.open("a", label="model")
        transcript.append_thinking("I wonder about ")
        transcript.append_thinking("the *question*.")
        await drawn(pilot, transcript)
        assert view(app)[:3] == ["  model", "  ▾ Thinking…", "  I wonder about the question."]
        transcript.append("It is so.")
        await drawn(pilot, transcript)
        folded = ["  model", "  ▸ Thought for a while (5 words)", "", "  It is so."]
        assert view(app)[:4] == folded
        transcript.close()
        await drawn(pilot, transcript)
        transcript.focus()
        await pilot.press("t")
        assert view(app)[1:5] == [
            "  ▾ Thought for a while (5 words)",
            "  I wonder about the question.",
            "",
            "  It is so.",
        ]
        await pilot.click(Transcript, offset=(4, 1))
        assert view(app)[:4] == folded


async def test_what_is_on_screen_follows_when_thinking_gives_way_to_the_answer() -> None:
    app = Conversation()
    async with app.run_test(size=(60, 20)) as pilot:
        transcript = app.transcript
        transcript.open("a1", "assistant", "model")
        transcript.append_thinking("I wonder.")
        await drawn(pilot, transcript)
        transcript.append("An answer.")
        transcript.close()
        await drawn(pilot, transcript)
        painted = [strip.text.rstrip() for strip in app.screen._compositor.render_strips(app.size)]
        assert painted[: len(view(app))] == view(app)
        assert any("Thought for a while" in line for line in painted)
        assert not any("I wonder" in line for line in painted)


async def test_the_cursor_visits_messages_and_code_blocks_and_copies_them() -> None:
    first = said(1, "Ask *this*", "user")
    app = Conversation([first, said(2, f"Do\n\n{CODE}\n\nor\n\n```\nother\n```\nend")])
    async with app.run_test(size=(60, 30)) as pilot:
        app.transcript.focus()
        await pilot.press("k", "y", "j", "j", "y", "c", "m")
        await pilot.press("k", "k", "k", "k", "c", "m")
        copied = [(message.what, message.text) for message in app.posted if isinstance(message, Copied)]
        source = f"Do\n\n{CODE}\n\nor\n\n```\nother\n```\nend"
        assert copied == [
            ("code", "print(1)\n\tx = 2\n"),
            ("code", "other\n"),
            ("message", "Do\n\nprint(1)\n    x = 2\n\nor\n\nother\n\nend"),
            ("Markdown", source),
            ("message", "Ask this"),
            ("Markdown", "Ask *this*"),
        ]
        assert app.clipboard == "Ask *this*"


async def test_the_cursor_is_seen_only_with_the_focus() -> None:
    app = Conversation([said(1), said(2)])
    async with app.run_test(size=(60, 12)) as pilot:
        app.transcript.focus()
        await pilot.press("k")
        assert "▌ message 2" in view(app)
        app.query_one(TextArea).focus()
        await pilot.pause()
        assert "  message 2" in view(app)


async def test_copying_code_where_there_is_none_says_so() -> None:
    app = Conversation([said(1)])
    async with app.run_test(size=(60, 12), notifications=True) as pilot:
        app.transcript.focus()
        await pilot.press("y")
        assert not any(isinstance(message, Copied) for message in app.posted)
        assert len(app._notifications) == 1


async def test_search_finds_marks_and_goes_round() -> None:
    app = Conversation(
        [
            said(number, f"text {number} with a **Nee**dle in it" if number % 50 == 0 else "")
            for number in range(200)
        ]
    )
    async with app.run_test(size=(60, 12)) as pilot:
        transcript = app.transcript
        assert transcript.search("needle in") == 0, "the source holds marks within the word"
        assert transcript.search("DLE in it") == 4
        assert any("text 150" in line for line in view(app))
        transcript.search_next()
        assert any("text 0 " in line for line in view(app))
        transcript.search_previous()
        transcript.search_previous()
        assert any("text 100" in line for line in view(app))
        await pilot.pause()
        moves = [(move.current, move.total) for move in app.posted if isinstance(move, SearchMoved)]
        assert moves[1:] == [(4, 4), (1, 4), (4, 4), (3, 4)]
        row = next(y for y, line in enumerate(view(app)) if "text 100" in line)
        style = transcript.get_visual_style("transcript--match-current").rich_style
        assert any(
            segment.style is not None and segment.style.bgcolor == style.bgcolor
            for segment in transcript.render_line(row)
        )
        transcript.clear_search()
        assert not any(
            segment.style is not None and segment.style.bgcolor == style.bgcolor
            for segment in transcript.render_line(row)
        )


async def test_search_finds_text_across_a_wrapped_line() -> None:
    app = Conversation([said(1, "aaaa bbbb cccc dddd eeee")])
    async with app.run_test(size=(14, 12)):
        assert app.transcript.search("bbbb cccc") == 1


async def test_text_that_arrives_is_searched_too() -> None:
    app = Conversation([said(1, "a needle")])
    async with app.run_test(size=(40, 12)) as pilot:
        transcript = app.transcript
        assert transcript.search("needle") == 1
        transcript.open("b")
        transcript.append("another needle")
        await until(
            pilot, lambda: any(isinstance(m, SearchMoved) and m.total == 2 for m in app.posted), "the match"
        )


async def test_a_click_on_a_link_tells_its_address_and_opens_nothing() -> None:
    app = Conversation([said(1, "go [there](https://example.org/x) now")])
    async with app.run_test(size=(60, 12)) as pilot:
        await pilot.click(Transcript, offset=(6, 1))
        await pilot.click(Transcript, offset=(12, 1))
        links = [message.url for message in app.posted if isinstance(message, LinkClicked)]
        assert links == ["https://example.org/x"]


async def test_text_selected_over_wrapped_lines_is_whole_again() -> None:
    app = Conversation([said(1, "alpha beta gamma delta epsilon zeta\n\n- one item")])
    async with app.run_test(size=(24, 12)) as pilot:
        assert view(app)[:5] == [
            "  assistant",
            "  alpha beta gamma",
            "  delta epsilon zeta",
            "",
            "  • one item",
        ]
        await pilot.mouse_down(Transcript, offset=(8, 1))
        await pilot.hover(Transcript, offset=(6, 4))
        await pilot.mouse_up(Transcript, offset=(6, 4))
        assert app.screen.get_selected_text() == "beta gamma delta epsilon zeta\n\none"
        style = app.screen.get_component_rich_style("screen--selection")
        assert any(
            segment.style and segment.style.bgcolor == style.bgcolor
            for segment in app.transcript.render_line(2)
        )


async def test_a_selection_stays_on_its_text_while_more_streams_in() -> None:
    app = Conversation([said(1, "alpha beta"), said(2)])
    async with app.run_test(size=(40, 12)) as pilot:
        await pilot.mouse_down(Transcript, offset=(2, 1))
        await pilot.hover(Transcript, offset=(6, 1))
        await pilot.mouse_up(Transcript, offset=(6, 1))
        app.transcript.open("a")
        app.transcript.append("more\n\n" * 20)
        await drawn(pilot, app.transcript)
        assert app.screen.get_selected_text() == "alpha"


async def test_a_double_click_selects_the_paragraph() -> None:
    app = Conversation([said(1, "one two\n\nthree four")])
    async with app.run_test(size=(40, 12)) as pilot:
        await pilot.click(Transcript, offset=(4, 3), times=2)
        assert (app.screen.get_selected_text() or "").strip() == "three four"


async def test_colours_follow_the_theme() -> None:
    app = Conversation([said(1, f"# T\n\n{CODE}", "user")])
    async with app.run_test(size=(40, 12)) as pilot:

        def colours() -> set[str]:
            return {
                str(segment.style.bgcolor)
                for y in range(app.transcript.size.height)
                for segment in app.transcript.render_line(y)
                if segment.style is not None
            }

        dark = colours()
        app.theme = "textual-light"
        await pilot.pause()
        assert not dark & colours()


async def test_hostile_text_reaches_no_strip() -> None:
    bad = (
        "\x1b]52;c;aGk=\x07 \x9b31m \u202e \u2028 [/x] [@click=app.quit]x[/] &#x202e; `\x1b[0m`\n\n"
        "```\x1b[1m\n\x1b[31m\u202e\n```\n|\x1b|\n|-|\n"
    )
    app = Conversation(
        [
            TranscriptMessage(
                "a\x1b", "assistant", bad, label="l\x1b]0;t\x07", note="n\x9b", thinking="t\u202e"
            )
        ]
    )
    async with app.run_test(size=(40, 30)) as pilot:
        app.transcript.focus()
        await pilot.press("t")
        lines = [
            segment.text
            for y in range(app.transcript.size.height)
            for segment in app.transcript.render_line(y)
        ]
        assert not [text for text in lines if UNSAFE.search(text)]
        assert "[@click=app.quit]x[/]" in " ".join(view(app))


async def test_messages_can_be_replaced_and_removed() -> None:
    app = Conversation([said(1), said(2), said(3)])
    async with app.run_test(size=(40, 12)):
        transcript = app.transcript
        transcript.replace("m2", "other\n\ntext")
        transcript.remove_message("m1")
        transcript.remove_message("nobody")
        assert view(app)[:7] == ["  assistant", "  other", "", "  text", "", "  assistant", "  message 3"]
        transcript.add(said(4))
        assert "  message 4" in view(app)
        transcript.clear()
        assert not any(view(app))
        transcript.append("nothing is open")
        transcript.close()
        assert not any(view(app))


async def test_a_message_can_be_replaced_while_it_streams_and_goes_on() -> None:
    app = Conversation()
    async with app.run_test(size=(40, 12)) as pilot:
        transcript = app.transcript
        transcript.open("a")
        transcript.append("one " * 200_000)
        transcript.replace("a", "two ")
        transcript.append("three")
        await drawn(pilot, transcript)
        assert view(app)[0] == "  two three"
        transcript.close()
        transcript.replace("a", "four")
        await drawn(pilot, transcript)
        assert view(app)[:2] == ["  four", ""]


async def test_a_huge_delta_is_drawn_in_slices() -> None:
    app = Conversation()
    async with app.run_test(size=(60, 12)) as pilot:
        transcript = app.transcript
        transcript.open("a")
        transcript.append("word " * 3_000_000 + "last")
        transcript.close()
        assert transcript.busy, "fifteen million characters were parsed without letting the event loop run"
        await until(pilot, lambda: not transcript.busy, "all of it")
        assert view(app)[-1].endswith("last")


async def test_a_huge_message_is_loaded_in_slices() -> None:
    app = Conversation([said(1, "word " * 400_000 + "last")])
    async with app.run_test(size=(60, 12)) as pilot:
        await until(pilot, lambda: view(app)[-1].endswith("last"), "the end of the message")


async def test_every_binding_says_what_it_does() -> None:
    bindings = [binding for binding in Transcript.BINDINGS if not isinstance(binding, tuple)]
    assert all(
        binding.id and binding.id.startswith("transcript.") and binding.tooltip for binding in bindings
    )
    assert len({binding.id for binding in bindings}) == len(bindings)


async def test_importing_the_widget_imports_neither_parser_nor_lexers() -> None:
    import subprocess
    import sys

    heavy = "('markdown_it', 'pygments', 'pygments.lexers')"
    code = f"import sys, tui.transcript; print([name for name in {heavy} if name in sys.modules])"
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
