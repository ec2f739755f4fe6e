"""For all tests: compiled kernels are kept in a folder of this run, not in the user's cache; and a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

# How long an example takes depends on what else the machine does, and says nothing of the code.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session", autouse=True)
def kernel_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    os.environ["TINYGRAD_SQ_CACHE"] = str(tmp_path_factory.mktemp("kernels"))
    yield
    del os.environ["TINYGRAD_SQ_CACHE"]


@pytest.fixture(scope="module")  # and not the session: while Playwright runs, asyncio.run does not
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Tests that use it belong to one group, so that one worker has it."""
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium")
    assert executable, "these tests need a browser: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()
