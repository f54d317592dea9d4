"""A real Chromium without a window, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Error, sync_playwright

from tests.support.settings import unavailable

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the Chromium of this machine, or the one that CHROMIUM names; the test is skipped where there is none."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if not program:
        unavailable(f"no {' or '.join(_NAMES)} on the PATH; install one, or name it in CHROMIUM")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=program)
        except Error as error:
            unavailable(f"{program} does not start: {error}")
        yield browser
        browser.close()
