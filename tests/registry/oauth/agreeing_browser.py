"""A browser whose user agrees to everything that oidc-provider asks: agreeing_browser.py URL."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[3]))  # it is started from anywhere

from tests.registry.oauth.servers import Browser


def main(url: str) -> None:
    """Open the page, sign in, agree, and go where the server sends the browser."""
    parts = urlsplit(url)
    with Browser(f"{parts.scheme}://{parts.netloc}") as browser:
        if parts.path == "/device":
            browser.approve_device(url)
        else:
            browser.open(browser.approve(url))


if __name__ == "__main__":
    main(sys.argv[1])
