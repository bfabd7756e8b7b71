"""`jackfield ask` with files and parameters: what arrives at each kind of server, what is refused."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.providers.peer import Reply, running_peer
from tests.tui.cli_harness import Shell, new_shell
from tests.tui.test_attachments import PDF, PNG

FIXTURES = Path(__file__).parents[1] / "providers" / "fixtures"
PNG_64, PDF_64 = b64encode(PNG).decode(), b64encode(PDF).decode()


@dataclass(frozen=True)
class Dialect:
    """A provider that speaks it, and how its server finds a picture and a document."""

    plugin: str
    model: str
    fixture: str
    address: str
    key: str
    picture: str
    document: str
    length: str


DIALECTS = [
    Dialect(
        "anthropic",
        "claude-sonnet-4-5",
        "anthropic",
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_API_KEY",
        f'{{"type": "base64", "media_type": "image/png", "data": "{PNG_64}"}}',
        f'{{"type": "base64", "media_type": "application/pdf", "data": "{PDF_64}"}}',
        '"max_tokens": 300',
    ),
    Dialect(
        "openai",
        "gpt-4.1",
        "openai_responses",
        "OPENAI_BASE_URL",
        "OPENAI_API_KEY",
        f'{{"type": "input_image", "image_url": "data:image/png;base64,{PNG_64}"}}',
        f'"file_data": "data:application/pdf;base64,{PDF_64}"',
        '"max_output_tokens": 300',
    ),
    Dialect(
        "gemini",
        "gemini-2.5-flash",
        "gemini",
        "GOOGLE_GEMINI_BASE_URL",
        "GEMINI_API_KEY",
        f'{{"mimeType": "image/png", "data": "{PNG_64}"}}',
        f'{{"mimeType": "application/pdf", "data": "{PDF_64}"}}',
        '"maxOutputTokens": 300',
    ),
    Dialect(
        "custom",
        "m",
        "openai_chat",
        "",
        "",
        f'{{"url": "data:image/png;base64,{PNG_64}"}}',
        f'"file_data": "data:application/pdf;base64,{PDF_64}"',
        '"max_tokens": 300',
    ),
]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "cat.png").write_bytes(PNG)
    (tmp_path / "report.pdf").write_bytes(PDF)
    (tmp_path / "notes.txt").write_text("by hand", encoding="utf-8")
    return [str(tmp_path / name) for name in ("cat.png", "report.pdf", "notes.txt")]


@pytest.fixture
def shell(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return new_shell(tmp_path / "home", tmp_path_factory)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.plugin)
async def test_files_and_parameters_arrive_in_each_dialect(
    shell: Shell, files: list[str], dialect: Dialect
) -> None:
    async with running_peer(Reply([(FIXTURES / dialect.fixture / "text.sse").read_bytes()])) as peer:
        shell.switch_on(dialect.plugin)
        if dialect.address:
            shell.env.update({dialect.address: peer.url, dialect.key: "s3cret"})
        else:
            with shell.config.open("a", encoding="utf-8") as config:
                config.write(f'[plugins.{dialect.plugin}.options]\nurl = "{peer.url}/v1"\n')
        result = await asyncio.to_thread(
            shell.run,
            *("ask", "-m", f"{dialect.plugin}/{dialect.model}", "What is this?"),
            *(word for file in files for word in ("--attach", file)),
            *("--temperature", "0.5", "--max-tokens", "300"),
        )
    assert (result.code, result.err) == (0, "")
    sent = json.dumps(peer.sent(), ensure_ascii=False)
    for wanted in ("What is this?", dialect.picture, dialect.document, "by hand"):
        assert wanted in sent
    assert '"temperature": 0.5' in sent
    assert dialect.length in sent


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--temperature", "0.5", "-m", "openai/gpt-5"), "openai/gpt-5 does not take temperature"),
        (("--temperature", "3", "-m", "openai/gpt-4.1"), "Temperature is at most 2"),
        (("--effort", "odd", "-m", "openai/gpt-5"), "minimal, low, medium or high"),
        (("--attach", "no-such-file.png", "-m", "openai/gpt-5"), "no-such-file.png is not there"),
        (("--effort", "low", "-m", "acme/echo"), "It takes no parameters."),
    ],
)
def test_what_the_model_does_not_take_is_a_usage_error(
    shell: Shell, arguments: tuple[str, ...], says: str
) -> None:
    shell.switch_on("openai", "acme")
    result = shell.run("ask", *arguments, "Hi")
    assert (result.code, result.out) == (2, "")
    assert says in result.err
