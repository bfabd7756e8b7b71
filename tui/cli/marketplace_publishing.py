"""`jackfield marketplace build | check | sign | serve`: what whoever runs a marketplace does."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from registry.chat import Progress
from registry.paths import find_paths
from registry.text import counted
from tui.cli.marketplace_keys import opened_keys
from tui.cli.output import CommandError, Exit, line, note
from tui.cli.progress import ProgressLine
from tui.cli.signals import StopSignals
from tui.cli.taken import taken_by_app

if TYPE_CHECKING:
    from http.server import ThreadingHTTPServer


def build_site(source: Path, out: Path, *, as_json: bool) -> int:
    """Make a site from a folder of plugins; gives the exit code."""
    with StopSignals() as signals:
        return signals.run(_build(source, out, as_json=as_json))


async def _build(source: Path, out: Path, *, as_json: bool) -> int:
    from registry.marketplace.publishing.build import build

    progress = ProgressLine()
    try:
        built = await build(
            source, out, progress=lambda plugin: progress.show(Progress(f"Describing {plugin}"))
        )
    finally:
        progress.clear()
    count = len(built.catalogue.entries)
    if as_json:
        print(json.dumps({"plugins": count, "new": list(built.new), "site": str(out)}, indent=2))
        return Exit.DONE
    for new in built.new:
        print(f"new  {new}")
    print(f"{counted(count, 'plugin')}, {counted(len(built.new), 'new version')}. Not signed yet.")
    return Exit.DONE


def check_folder(folder: Path, *, against: Path | None, as_json: bool) -> int:
    """Look for what must not be published; gives the exit code: 1 if there is something."""
    with StopSignals() as signals:
        return signals.run(_check(folder, against, as_json=as_json))


async def _check(folder: Path, against: Path | None, *, as_json: bool) -> int:
    from registry.marketplace.publishing.check import check

    found = await check(folder, taken=taken_by_app(find_paths()), against=against)
    if as_json:
        print(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        for finding in found:
            print(f"{line(finding.where, 300)}\n  {line(finding.what, 500)}\n  {line(finding.mend, 300)}")
        print(f"{counted(len(found), 'finding')}." if found else "No problem was found.")
    return Exit.FAILED if found else Exit.DONE


def sign_site(out: Path, keys: Path, *, as_json: bool) -> int:
    """Sign what `build` made; gives the exit code: 1 if other keys have to sign too."""
    with StopSignals() as signals:
        return signals.run(_sign(out, keys, as_json=as_json))


async def _sign(out: Path, keys: Path, *, as_json: bool) -> int:
    from registry.marketplace.publishing.sign import sign

    signed = sign(out, await opened_keys(keys))
    if as_json:
        print(json.dumps(asdict(signed), indent=2))
    elif not signed.waiting:
        print(f"Signed anew: {', '.join(signed.signed) or 'nothing, all is as it was'}.")
        print(f"Fingerprint: {signed.fingerprint}")
    if signed.waiting:
        raise CommandError(
            f"The new root needs {signed.waiting} more signatures of root keys",
            detail="What was signed until now is kept in the site.",
            hint="Sign the same site where the other root keys are.",
        )
    return Exit.DONE


def serve_site(out: Path, port: int) -> int:
    """Serve a site to this machine until it is stopped; gives the exit code."""
    from registry.marketplace.publishing.serve import make_server

    server = make_server(out, port)
    with StopSignals() as signals:
        return signals.run(_serve(server))


async def _serve(server: ThreadingHTTPServer) -> int:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    print(f"http://127.0.0.1:{server.server_address[1]}/", flush=True)
    note("Ctrl-C stops it.")
    try:
        await asyncio.Event().wait()
    finally:
        server.shutdown()
        server.server_close()
    return Exit.DONE
