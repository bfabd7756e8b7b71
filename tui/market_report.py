"""The report on a plugin that a user copies for its author."""

from __future__ import annotations

import platform
import sys

from jackfield import __version__
from registry.marketplace.link import link_to
from tui.market_text import Standing, look_of, runtime_badge


def report(standing: Standing) -> str:
    """All that is known of a plugin and of what went wrong, as lines of text; no secret is in it."""
    row, job, handle = standing.row, standing.job, standing.handle
    version = standing.installed or row.version
    lines = [
        f"{row.id} {version} ({runtime_badge(standing)}), from {row.marketplace or 'this app'}",
        f"state: {look_of(standing).word}",
        *([f"link: {link_to(row.id)}"] if row.marketplace else []),
        f"Jackfield {__version__}, Python {platform.python_version()}, {sys.platform}",
    ]
    if handle is not None and handle.reason:
        lines += ["", "Why:", handle.reason]
    if job is not None:
        wanted = job.plan.version.version if job.plan else job.version or "newest"
        lines += ["", f"Installing {wanted}, begun {job.begun:%Y-%m-%d %H:%M} UTC: {job.state.value}"]
        lines += [f"last step: {job.step.what}"] if job.step else []
        lines += [f"file: sha256 {job.plan.version.artefact.sha256}"] if job.plan else []
        lines += [str(job.error)] if job.error else []
    if standing.unfit:
        lines += ["", f"Cannot be installed here: {standing.unfit}"]
    return "\n".join(lines) + "\n"
