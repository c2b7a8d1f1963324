"""Pages as a reader's browser shows them."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path


def opened(browser: str, page: Path) -> str:
    """The page's document after its script has run, with the network cut off by the page's own policy."""
    quiet = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --virtual-time-budget=3000 --dump-dom"
    )
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, *quiet.split(), f"--user-data-dir={profile}", page.as_uri()]
        done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    return done.stdout.decode()
