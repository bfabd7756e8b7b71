"""`jackfield auth login` with a real authorization server, and on a real terminal."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.e2e.terminal import PtySession
from tests.registry.oauth.servers import AuthServer, Browser, oidc_server
from tests.tui.cli_harness import COMMAND, LIMIT_S, Shell, wait_until
from tests.tui.vault import VaultServer, install_vault, new_vault_home, use_cheap_file, vault_server

KEY = "vault-key-0123456789"
WITH_DISPLAY = {"DISPLAY": ":99", "BROWSER": "none"}


@pytest.fixture(scope="module")
def oidc() -> Iterator[AuthServer]:
    with oidc_server() as server:
        yield server


@pytest.fixture(scope="module")
def vault() -> Iterator[VaultServer]:
    with vault_server() as server:
        yield server


@pytest.fixture(scope="module")
def installed(oidc: AuthServer, vault: VaultServer, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return install_vault(tmp_path_factory.mktemp("vault"), service=vault.url, issuer=oidc.issuer)


@pytest.fixture
async def shell(installed: Shell, tmp_path: Path) -> Shell:
    return await use_cheap_file(new_vault_home(installed, tmp_path / "home"))


@pytest.fixture
def browser(oidc: AuthServer) -> Iterator[Browser]:
    with Browser(oidc) as opened:
        yield opened


class Login:
    """A sign-in that runs, of which the test reads what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""

    def until(self, wanted: str) -> str:
        """Read what it says up to a line that begins so, and give that line."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if line.startswith(wanted):
                return line.strip()
        raise AssertionError(f"it never said {wanted!r}: {self.said}")

    def write(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, str]:
        """Wait for its end; its exit code and its result."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        code = self.process.wait(LIMIT_S)
        self.said += self.process.stderr.read()
        return code, self.process.stdout.read()


@contextmanager
def logging_in(shell: Shell, *arguments: str, **env: str) -> Iterator[Login]:
    process = subprocess.Popen(
        [*COMMAND, "auth", "login", "vault", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**shell.environment(), **env},
        text=True,
    )
    with process:
        try:
            yield Login(process)
        finally:
            process.kill()


def port_of(url: str) -> int:
    (redirect,) = parse_qs(urlsplit(url).query)["redirect_uri"]
    return urlsplit(redirect).port or 0


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_browser_on_this_machine_brings_the_answer_back(
    shell: Shell, oidc: AuthServer, vault: VaultServer, browser: Browser
) -> None:
    with logging_in(shell, "--method", "page", **WITH_DISPLAY) as login:
        url = login.until("http")
        browser.open(browser.approve(url))
        code, out = login.end()
    assert (code, out) == (0, "Connected Vault as default. Kept: encrypted file.\n"), login.said
    assert "Sign in on a page of 127.0.0.1:" in login.said
    assert oidc.knows(vault.tokens[-1])
    assert not is_open(port_of(url))
    token = vault.tokens[-1]
    out_again = shell.run("auth", "logout", "vault")
    assert (out_again.code, "Its server has ended the sign-in" in out_again.out) == (0, True)
    assert not oidc.knows(token)


@pytest.mark.parametrize("env", [WITH_DISPLAY, {}])
def test_the_address_may_be_pasted(
    shell: Shell, vault: VaultServer, oidc: AuthServer, browser: Browser, env: dict[str, str]
) -> None:
    with logging_in(shell, "--method", "page", **env) as login:
        callback = browser.approve(login.until("http"))
        login.write("nonsense")
        login.write(callback)
        code, _ = login.end()
    assert code == 0, login.said
    assert oidc.knows(vault.tokens[-1])


def test_a_code_is_typed_on_another_device(
    shell: Shell, vault: VaultServer, oidc: AuthServer, browser: Browser
) -> None:
    with logging_in(shell, "--method", "device") as login:
        page = login.until("http")
        user_code = login.until("and type this code: ").rpartition(" ")[2]
        browser.approve_device(f"{page}?user_code={user_code}")
        code, _ = login.end()
    assert code == 0, login.said
    assert oidc.knows(vault.tokens[-1])


def test_a_refusal_in_the_browser_is_told(shell: Shell, browser: Browser) -> None:
    with logging_in(shell, "--method", "page", **WITH_DISPLAY) as login:
        browser.open(browser.deny(login.until("http")))
        code, out = login.end()
    assert (code, out) == (1, "")
    assert "The sign-in was refused" in login.said


def test_input_that_ends_is_an_error_where_only_a_paste_could_help(shell: Shell) -> None:
    result = shell.run("auth", "login", "vault", "--method", "page")
    assert (result.code, "was not given" in result.err) == (1, True)


def test_ctrl_c_closes_the_listener_and_leaves_nothing(shell: Shell) -> None:
    with logging_in(shell, "--method", "page", **WITH_DISPLAY) as login:
        port = port_of(login.until("http"))
        assert is_open(port)
        login.process.send_signal(signal.SIGINT)
        code, out = login.end()
    assert (code, out) == (130, "")
    assert "Traceback" not in login.said
    assert not is_open(port)
    assert shell.run("auth", "list", "--json").out == "[]\n"


# -- on a terminal ------------------------------------------------------------------------------------------


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are not to be had there")


def on_terminal(shell: Shell, *arguments: str, size: tuple[int, int] = (100, 50)) -> PtySession:
    return PtySession(*COMMAND, "auth", *arguments, size=size, env=shell.environment())


def test_a_key_that_is_typed_is_not_echoed(shell: Shell, vault: VaultServer) -> None:
    with on_terminal(shell, "login") as terminal:
        terminal.wait_for(b"Number [1-")
        terminal.send(b"vault\n")
        start = terminal.wait_for(b"How to sign in to Vault:").index(b"How to sign in to Vault:")
        terminal.wait_for(b"Number [1-4]: ", start=start)
        terminal.send(b"API key\n")
        terminal.wait_for(b"API key (not shown): ")
        for key in f"mistake\x15{KEY}x\x7f\n".encode():
            terminal.send(bytes([key]))
        assert terminal.wait_for_exit() == 0
        assert terminal.echoes
        output = terminal.output
    assert b"Connected Vault as default." in output
    assert vault.tokens[-1] == KEY
    assert KEY[:8].encode() not in output


def test_a_key_of_16_kilobytes_can_be_typed(shell: Shell, vault: VaultServer) -> None:
    key = "k" * 16_000
    with on_terminal(shell, "login", "vault", "--method", "key") as terminal:
        terminal.wait_for(b"API key (not shown): ")
        terminal.send(key.encode() + b"\n")
        assert terminal.wait_for_exit() == 0
    assert vault.tokens[-1] == key


def ends_with(end: bytes, output: bytes) -> bool:
    return output.endswith(end)


def test_a_form_is_asked_field_by_field_and_what_is_wrong_again(shell: Shell, vault: VaultServer) -> None:
    answers = [
        (b"region [eu]: ", b"2\n"),
        (b"Zone: ", b"\n"),
        (b"This is needed.\r\nZone: ", b"a\n"),
        (b"Password (not shown): ", b"short\n"),
        (b"At least 8 characters.\r\nPassword (not shown): ", b"form-password-1\n"),
        (b"Retries [3]: ", b"10\n"),
        (b"At most 9.\r\nRetries [3]: ", b"\n"),
        (b"Fast [y/N]: ", b"y\n"),
    ]
    with on_terminal(shell, "login", "vault", "--method", "form") as terminal:
        start = 0
        for prompt, answer in answers:
            start += len(terminal.wait_for(partial(ends_with, prompt), start=start))
            terminal.send(answer)
        assert terminal.wait_for_exit() == 0
        output = terminal.output
    assert vault.tokens[-1] == "form-password-1"
    assert b"form-password" not in output
    assert b"short" not in output


def test_ctrl_c_at_a_hidden_prompt_gives_the_terminal_back(shell: Shell) -> None:
    with on_terminal(shell, "login", "vault", "--method", "key") as terminal:
        terminal.wait_for(b"API key (not shown): ")
        terminal.send(b"half-a-secret\x03")
        assert terminal.wait_for_exit() == 130
        assert terminal.echoes
        assert b"half-a" not in terminal.output


def test_a_wide_terminal_shows_a_large_code_and_a_picture_of_the_page(shell: Shell, browser: Browser) -> None:
    with on_terminal(shell, "login", "vault", "--method", "device") as terminal:
        output = terminal.wait_for(b"Ctrl-C stops.").decode()
        assert "█" in output
        assert "\x1b[30;107m" in output
        page = next(line for line in output.splitlines() if line.startswith("http"))
        user_code = output.partition("type this code: ")[2].split()[0]
        browser.approve_device(f"{page}?user_code={user_code}")
        assert terminal.wait_for_exit() == 0


def test_the_browser_is_opened_at_enter_only(shell: Shell, tmp_path: Path, browser: Browser) -> None:
    opened = tmp_path / "opened"
    command = f"{sys.executable} -c 'import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])'"
    env = {**shell.environment(), "DISPLAY": ":99", "BROWSER": f"{command} {opened} %s"}
    with PtySession(*COMMAND, "auth", "login", "vault", "--method", "page", env=env) as terminal:
        terminal.wait_for(b"Ctrl-C stops.")
        assert not opened.exists()
        terminal.send(b"\n")
        wait_until(lambda: opened.exists() and bool(opened.read_text(encoding="utf-8")), "it is opened")
        assert httpx.get(opened.read_text(encoding="utf-8"), trust_env=False).is_redirect
        terminal.send(b"\x03")
        assert terminal.wait_for_exit() == 130


def test_the_passphrase_of_the_file_is_asked_for(shell: Shell, vault: VaultServer) -> None:
    passphrase = shell.env["JACKFIELD_PASSPHRASE"]
    closed = Shell(shell.home, shell.site, {})
    with on_terminal(closed, "login", "vault", "--method", "key") as terminal:
        terminal.wait_for(b"API key (not shown): ")
        terminal.send(f"{KEY}\n".encode())
        terminal.wait_for(b"Passphrase of the encrypted file (not shown): ")
        terminal.send(b"not the passphrase\n")
        start = terminal.wait_for(b"The passphrase is wrong.").index(b"The passphrase is wrong.")
        terminal.wait_for(b"(not shown): ", start=start)
        terminal.send(f"{passphrase}\n".encode())
        assert terminal.wait_for_exit() == 0
        assert passphrase.encode() not in terminal.output
    assert vault.tokens[-1] == KEY
