"""The publisher's guide, run as it stands: a plugin becomes a site that is signed, served and added."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.registry.marketplace.site import FakePlugin

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "docs" / "marketplace.md"
COMMAND = [sys.executable, "-P", "-m", "tui.cli"]
LIMIT_S = 60.0


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text("utf-8"), flags=re.DOTALL)


class Publisher:
    """Somebody who follows the guide in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            **os.environ,
            "JACKFIELD_HOME": str(folder / "home"),
            "JACKFIELD_KEYS_PASSPHRASE": "correct horse battery staple",
            "PYTHONPATH": str(ROOT),
        }
        for text in blocks("toml"):
            path = re.match(r"# (\S+)\n", text)
            assert path is not None
            file = folder / path.group(1)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        plugin = folder / "source/acme/hello"
        FakePlugin("acme/hello").wheel("1.0.0", plugin / "dist")
        (plugin / "README.md").write_text("# Hello\n\nGreets.\n")

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        words = shlex.split(line.replace("$FINGERPRINT", self.env.get("FINGERPRINT", "")))
        assert words[0] == "jackfield"
        return subprocess.run(
            [*COMMAND, *words[1:]],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=LIMIT_S,
            check=False,
        )

    def follow(self, block: str) -> str:
        """Run a block of the guide; gives what was printed."""
        said = ""
        for line in block.splitlines():
            done = self.run(line)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            said += done.stdout
        return said

    def serve(self, line: str) -> str:
        """Start what serves, have the site fetched from it, stop it; gives what came."""
        words = shlex.split(line)
        server = subprocess.Popen(
            [*COMMAND, *words[1:]],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=_heed_ctrl_c,
        )
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            fingerprint = self.env["FINGERPRINT"]
            done = self.run(
                f"jackfield marketplace add {url} --name served --fingerprint {fingerprint} --yes"
            )
            assert done.returncode == 0, done.stderr
            assert self.run("jackfield marketplace remove served").returncode == 0
            return done.stdout
        finally:
            server.send_signal(signal.SIGINT)
            assert server.wait(LIMIT_S) == 130
            assert server.stdout is not None
            server.stdout.close()


def _heed_ctrl_c() -> None:
    """A shell's background jobs are started to ignore it, and what they start inherits that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    return Publisher(tmp_path_factory.mktemp("publisher"))


def test_the_commands_of_the_guide_do_what_it_says(publisher: Publisher) -> None:
    making, serving, using, rotating = blocks("sh")
    said = publisher.follow(making)
    assert "new  acme/hello 1.0.0" in said
    assert "No problem was found." in said
    fingerprint = re.search(r"Fingerprint: ([0-9a-f]{64})", said)
    assert fingerprint is not None
    publisher.env["FINGERPRINT"] = fingerprint.group(1)
    assert "Added served: 1 plugin." in publisher.serve(serving.strip())
    said = publisher.follow(using)
    assert "Added example: 1 plugin." in said
    assert re.search(r"example +1 +just now", said)
    before = json.loads(publisher.run("jackfield marketplace keys list keys --json").stdout)
    assert "Signed anew: root, timestamp." in publisher.follow(rotating)
    after = json.loads(publisher.run("jackfield marketplace keys list keys --json").stdout)
    assert after["timestamp"] != before["timestamp"]
    assert after["root"] == before["root"]


def test_the_times_of_the_guide_are_those_of_the_code() -> None:
    from registry.marketplace.kept import OLD_AFTER_DAYS
    from registry.marketplace.publishing.sign import LIVES

    for role, life in LIVES.items():
        assert re.search(rf"\| {role} \|.*\| {life.days} days \|", GUIDE.read_text("utf-8"))
    assert f"after {OLD_AFTER_DAYS:g} days nothing new is installed" in GUIDE.read_text("utf-8")


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("jackfield marketplace add site --yes", 2, "--yes needs --fingerprint"),
        ("jackfield marketplace add nowhere", 2, "is no address of a marketplace"),
        ("jackfield marketplace refresh nobody", 2, "There is no marketplace named nobody"),
        ("jackfield marketplace remove nobody", 2, "There is no marketplace named nobody"),
        ("jackfield marketplace build nowhere out", 2, "nowhere is not there"),
        ("jackfield marketplace build . out", 1, "cannot be read"),
        ("jackfield marketplace check nowhere", 2, "nowhere is not there"),
        ("jackfield marketplace check .", 1, "is neither the source of a marketplace"),
        ("jackfield marketplace sign nowhere --keys .", 2, "nowhere is not there"),
        ("jackfield marketplace sign . --keys nowhere", 2, "nowhere is not there"),
        ("jackfield marketplace sign . --keys .", 1, "holds no keys of a marketplace"),
        ("jackfield marketplace serve nowhere", 2, "nowhere is not there"),
        ("jackfield marketplace serve .", 1, "holds no signed marketplace"),
        ("jackfield marketplace", 2, "required"),
    ],
)
def test_what_goes_wrong_has_its_exit_code(tmp_path: Path, line: str, code: int, words: str) -> None:
    done = Publisher(tmp_path).run(line)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr


def test_a_wrong_fingerprint_and_nobody_to_ask_add_nothing(publisher: Publisher) -> None:
    if not (publisher.folder / "site").is_dir():
        publisher.follow(blocks("sh")[0])
    wrong = publisher.run(f"jackfield marketplace add site --name wrong --fingerprint {'0' * 64} --yes")
    assert (wrong.returncode, "The fingerprint is another one" in wrong.stderr) == (1, True)
    nobody = publisher.run("jackfield marketplace add site --name nobody")
    assert (nobody.returncode, "Nobody is here to agree" in nobody.stderr) == (2, True)
    assert publisher.run("jackfield marketplace list --json").stdout.strip() == "[]"


def test_what_check_finds_is_reported_as_data(publisher: Publisher, tmp_path: Path) -> None:
    other = Publisher(tmp_path)
    (tmp_path / "source/acme/hello/README.md").unlink()
    done = other.run("jackfield marketplace check source --json")
    assert done.returncode == 1
    (finding,) = json.loads(done.stdout)
    assert finding["where"] == "acme/hello"
    assert "README.md" in finding["what"]


def test_the_sources_of_the_official_marketplace_can_be_read() -> None:
    from registry.marketplace.publishing.source import read_marketplace

    source = read_marketplace(ROOT / "docs" / "marketplace")
    assert source.about.name == "official"
    assert source.plugins
    said = tomllib.loads((ROOT / "docs/marketplace/marketplace.toml").read_text("utf-8"))
    assert said["title"]
