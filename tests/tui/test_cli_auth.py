"""`jackfield auth`: signing in from lines and flags, the accounts, and where their secrets are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.keyring_session import NULL_BACKEND, KeyringSession
from tests.tui.cli_harness import Result, Shell
from tests.tui.vault import (
    VaultServer,
    install_vault,
    new_vault_home,
    use_cheap_file,
    vault_server,
)

KEY = "vault-key-0123456789"
OTHER = "vault-key-9876543210"
UNUSED_ISSUER = "https://accounts.example"


@pytest.fixture(scope="module")
def vault() -> Iterator[VaultServer]:
    with vault_server() as server:
        yield server


@pytest.fixture(scope="module")
def installed(vault: VaultServer, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return install_vault(tmp_path_factory.mktemp("vault"), service=vault.url, issuer=UNUSED_ISSUER)


@pytest.fixture
async def shell(installed: Shell, tmp_path: Path) -> Shell:
    """A home whose secrets are in an encrypted file, with the passphrase in the environment."""
    return await use_cheap_file(new_vault_home(installed, tmp_path / "home"))


@pytest.fixture
def bare(installed: Shell, tmp_path: Path) -> Shell:
    """A home on a machine without a keyring."""
    return new_vault_home(installed, tmp_path / "bare", PYTHON_KEYRING_BACKEND=NULL_BACKEND)


def login(shell: Shell, *arguments: str, secrets: str = KEY) -> Result:
    return shell.run("auth", "login", "vault", *arguments, stdin=f"{secrets}\n".encode())


def accounts(shell: Shell) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(shell.run("auth", "list", "--json").out)
    return listed


# -- signing in ---------------------------------------------------------------------------------------------


def test_a_key_from_standard_input_signs_in_and_switches_the_plugin_on(
    shell: Shell, vault: VaultServer
) -> None:
    result = login(shell)
    assert result.code == 0, result.err
    assert result.out == "Connected Vault as default. Kept: encrypted file.\n"
    assert "The plugin vault is on now." in result.err
    assert vault.tokens[-1] == KEY
    answered = shell.run("ask", "-m", "vault/echo", "Hello")
    assert (answered.code, answered.out) == (0, f"Opened the vault for {len(KEY)} signs.\n")
    assert KEY not in result.out + result.err


def test_a_refused_key_is_not_kept_and_the_plugin_stays_off(shell: Shell) -> None:
    result = login(shell, secrets="wrong-key-0123456789")
    assert (result.code, result.out) == (1, "")
    assert "Vault refused the key" in result.err
    assert "[secret] is not known here" in result.err
    assert "wrong-key" not in result.err
    assert accounts(shell) == []
    assert "vault" not in shell.config.read_text(encoding="utf-8")


def test_a_key_can_be_kept_without_asking_the_provider(shell: Shell, vault: VaultServer) -> None:
    asked = len(vault.tokens)
    assert login(shell, "--no-verify", secrets="wrong-but-kept-123").code == 0
    assert len(vault.tokens) == asked
    assert [one["label"] for one in accounts(shell)] == ["default"]


def test_a_form_takes_flags_defaults_and_a_line_for_its_secret(shell: Shell, vault: VaultServer) -> None:
    flags = ("--method", "form", "--set", "region=us", "--set", "zone=a", "--set", "fast=yes")
    result = login(shell, *flags, secrets="form-password-1")
    assert result.code == 0, result.err
    assert vault.tokens[-1] == "form-password-1"


@pytest.mark.parametrize(
    ("arguments", "secrets", "said"),
    [
        (("--set", "key=something"), KEY, "key is a secret"),
        (("--set", "nothing=1"), KEY, "There is no field nothing"),
        (("--set", "nonsense"), KEY, "--set takes NAME=VALUE"),
        (("--method", "nothing"), KEY, "has no way to sign in named nothing"),
        (("--method", "form", "--set", "retries=many"), KEY, "Retries: It is no number."),
        (("--method", "form", "--set", "zone=a"), KEY, "zone does not apply here"),
        (("--method", "form", "--set", "region=us"), KEY, "Give it with `--set zone=VALUE`"),
        (("--method", "form"), "short", "Password cannot be used"),
        ((), "", "standard input has no line for it"),
    ],
)
def test_what_is_missing_or_wrong_is_told_with_what_to_do(
    shell: Shell, arguments: tuple[str, ...], secrets: str, said: str
) -> None:
    result = login(shell, *arguments, secrets=secrets)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert "Traceback" not in result.err
    assert accounts(shell) == []


def test_a_plugin_has_to_be_named_where_nobody_can_be_asked(shell: Shell) -> None:
    assert shell.run("auth", "login").code == 2
    unknown = shell.run("auth", "login", "valt")
    assert (unknown.code, "Did you mean vault" in unknown.err) == (2, True)
    assert shell.run("auth", "login", "today").code == 2
    assert "plugins are off" in shell.run("--safe-mode", "auth", "login", "vault").err


def test_a_key_in_the_environment_is_used_and_not_stored(shell: Shell, vault: VaultServer) -> None:
    with_key = Shell(shell.home, shell.site, {**shell.env, "VAULT_KEY": OTHER})
    result = login(with_key, secrets="")
    assert (result.code, vault.tokens[-1]) == (0, OTHER)
    assert result.out == "Vault is used with the key in VAULT_KEY. Nothing was stored.\n"
    assert accounts(with_key) == []
    status = json.loads(with_key.run("auth", "status", "--json").out)
    assert {"provider": "vault", "plugin": "vault", "source": "environment", "name": "VAULT_KEY"}.items() <= {
        key: value for source in status if source["provider"] == "vault" for key, value in source.items()
    }.items()


def test_a_key_in_the_environment_is_kept_with_what_is_filled_in_beside_it(shell: Shell) -> None:
    """Azure wants an address too, which would be lost if nothing was stored."""
    with_key = Shell(shell.home, shell.site, {**shell.env, "AZURE_OPENAI_API_KEY": OTHER})
    address = "url=https://azure.example"
    result = with_key.run("auth", "login", "azure", "--no-verify", "--set", address, stdin=b"\n")
    assert (result.code, result.out) == (0, "Connected Azure OpenAI as default. Kept: encrypted file.\n")
    assert [(one["plugin"], one["label"]) for one in accounts(with_key)] == [("azure", "default")]


# -- accounts -----------------------------------------------------------------------------------------------


def test_accounts_are_listed_switched_renamed_and_signed_out_of(shell: Shell, vault: VaultServer) -> None:
    assert login(shell, "--label", "home").code == 0
    assert login(shell, "--label", "work", secrets=OTHER).code == 0
    assert [(one["label"], one["active"]) for one in accounts(shell)] == [("home", False), ("work", True)]
    assert shell.run("auth", "use", "vault", "home").out == "vault uses home from now on.\n"
    assert shell.run("ask", "-m", "vault/echo", "Hi").code == 0
    assert vault.tokens[-1] == KEY
    assert shell.run("auth", "rename", "vault", "work", "office").code == 0
    listed = shell.run("auth", "list").out.splitlines()
    assert listed[0].split() == ["PLUGIN", "LABEL", "METHOD", "STATE", "EXPIRES", "KEPT"]
    assert listed[1].split() == [
        "vault",
        "home",
        "key",
        "active",
        "does",
        "not",
        "expire",
        "encrypted",
        "file",
    ]
    assert listed[2].split() == ["vault", "office", "key", "-", "does", "not", "expire", "encrypted", "file"]
    which = shell.run("auth", "logout", "vault")
    assert (which.code, "Labels: home, office" in which.err) == (2, True)
    out = shell.run("auth", "logout", "vault", "home")
    assert out.code == 0
    assert out.out.startswith("Signed out of vault (home). The secret is deleted here;")
    assert "vault uses office from now on." in out.err
    assert shell.run("auth", "logout", "vault", "--all").code == 2
    assert shell.run("auth", "logout", "vault", "--all", "--yes").code == 0
    assert accounts(shell) == []
    for command in (("use", "vault", "home"), ("rename", "vault", "home", "x"), ("logout", "vault")):
        assert shell.run("auth", *command).code == 2


def test_a_label_that_is_there_is_signed_in_to_again(shell: Shell, vault: VaultServer) -> None:
    assert login(shell, "--label", "home").code == 0
    assert login(shell, "--label", "home", secrets=OTHER).code == 0
    assert [one["label"] for one in accounts(shell)] == ["home"]
    assert shell.run("ask", "-m", "vault/echo", "Hi").code == 0
    assert vault.tokens[-1] == OTHER
    assert login(shell).code == 0
    assert [one["label"] for one in accounts(shell)] == ["home", "default"]


def test_status_tells_what_signs_in_and_where_it_is_from(shell: Shell) -> None:
    shell.switch_on("vault")
    row = next(row for row in shell.run("auth", "status").out.splitlines() if row.startswith("vault"))
    assert row.split() == ["vault", "nothing", "`jackfield", "auth", "login", "vault`"]
    assert login(shell).code == 0
    row = next(row for row in shell.run("auth", "status").out.splitlines() if row.startswith("vault"))
    assert row.split() == ["vault", "connection", "default", "ready"]


def test_the_schema_of_each_form_is_printed(shell: Shell) -> None:
    schemas = json.loads(shell.run("auth", "schema", "vault").out)
    assert list(schemas) == ["key", "form", "page", "device"]
    assert schemas["key"]["required"] == ["key"]
    assert schemas["form"]["properties"]["password"]["writeOnly"] is True


# -- where secrets are --------------------------------------------------------------------------------------


def test_without_a_keyring_it_is_said_what_can_be_chosen(bare: Shell) -> None:
    result = login(bare)
    assert (result.code, result.out) == (1, "")
    assert "--store file" in result.err
    assert "VAULT_KEY" in result.err
    assert KEY not in "".join(
        file.read_text(errors="replace") for file in bare.home.rglob("*") if file.is_file()
    )


def test_the_encrypted_file_can_be_chosen_and_stays_chosen(bare: Shell) -> None:
    assert "no passphrase" in login(bare, "--store", "file").err
    opened = Shell(bare.home, bare.site, {**bare.env, "JACKFIELD_PASSPHRASE": "correct horse battery"})
    assert login(opened, "--store", "file").code == 0
    assert 'store = "file"' in bare.config.read_text(encoding="utf-8")
    assert opened.run("ask", "-m", "vault/echo", "Hi").code == 0
    closed = bare.run("ask", "-m", "vault/echo", "Hi")
    assert (closed.code, "The encrypted file is locked" in closed.err) == (1, True)


def test_a_session_on_the_command_line_only_tries_the_key(bare: Shell) -> None:
    result = login(bare, "--store", "session")
    assert (result.code, "all is forgotten now" in result.out) == (0, True)
    assert accounts(bare) == []


def test_environment_only_needs_the_variable(bare: Shell) -> None:
    assert "Set VAULT_KEY" in login(bare, "--store", "environment", secrets="").err
    with_key = Shell(bare.home, bare.site, {**bare.env, "VAULT_KEY": KEY})
    assert login(with_key, "--store", "environment", secrets="").code == 0
    assert 'store = "environment"' in bare.config.read_text(encoding="utf-8")


def test_the_doctor_tells_whether_secrets_can_be_kept(shell: Shell, bare: Shell) -> None:
    broken = bare.run("auth", "doctor", "--json")
    report = json.loads(broken.out)
    assert (broken.code, report["store"]["usable"], report["keyring"]["usable"]) == (1, False, False)
    assert report["store"]["hint"]
    good = shell.run("auth", "doctor")
    assert (good.code, "a secret was written, read and removed" in good.out) == (0, True)
    wrong = Shell(shell.home, shell.site, {**shell.env, "JACKFIELD_PASSPHRASE": "another one"}).run(
        "auth", "doctor"
    )
    assert (wrong.code, "The passphrase is wrong" in wrong.out) == (1, True)


def test_a_real_keyring_keeps_the_key_until_signing_out(
    installed: Shell, tmp_path: Path, keyring_session: KeyringSession, vault: VaultServer
) -> None:
    shell = new_vault_home(installed, tmp_path / "home", **keyring_session.variables)
    assert "PYTHON_KEYRING_BACKEND" not in os.environ
    doctor = shell.run("auth", "doctor")
    assert (doctor.code, "SecretService" in doctor.out) == (0, True)
    assert keyring_session.items() == {}
    result = login(shell, "--label", "work")
    assert result.out == "Connected Vault as work. Kept: keyring.\n", result.err
    assert KEY in keyring_session.items()["jackfield:vault", "work"]
    assert shell.run("ask", "-m", "vault/echo", "Hi").code == 0
    assert vault.tokens[-1] == KEY
    assert shell.run("auth", "logout", "vault").code == 0
    assert keyring_session.items() == {}
    assert shell.run("ask", "-m", "vault/echo", "Hi").code == 1
