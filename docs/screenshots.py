"""Takes docs/img/explorer-*.png, pictures of the explorer page, in Chromium: run `python docs/screenshots.py`."""

from __future__ import annotations

import io
import math
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tinygrad_sq import MLP, SGD, explore, fit
from tinygrad_sq.job import sample_graph

IMG = Path(__file__).parent / "img"
SHOTS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1400, "height": 860}, "color_scheme": "light", "step": 32},
    "dark": {"viewport": {"width": 1400, "height": 860}, "color_scheme": "dark", "section": "train"},
    "phone": {"viewport": {"width": 400, "height": 860}, "color_scheme": "light", "step": 32},
}


def moons(n: int) -> Iterator[tuple[list[float], float]]:
    """Points of two interleaved half circles, and which of them each is from: 1 or -1."""
    draw = random.Random(0)
    for k in range(n):
        t, side = math.pi * draw.random(), 1.0 if k % 2 else -1.0
        x = 0.5 - side * 0.5 + side * math.cos(t), 0.25 - side * 0.25 + side * math.sin(t)
        yield [value + draw.gauss(0.0, 0.1) for value in x], side


def write_page(path: Path) -> None:
    """The page of a 2-6-1 net, after some training on the moons."""
    X, Y = map(list, zip(*moons(80)))
    model = MLP(2, [6, 1], "tanh", "tanh", seed=3, init="glorot")
    fit(model, X, Y, optimizer=SGD(model.parameters(), lr=0.5), epochs=150)
    J = sample_graph(model, X[3], [Y[3]])
    explore(J, path, model=model, data=(X, Y), lr=0.5)


def shoot(browser: Browser, page: Path, name: str, step: int | None = None, section: str = "", **window: Any) -> None:
    tab = browser.new_page(offline=True, reduced_motion="reduce", **window)
    tab.goto(page.as_uri() + (f"#step={step}" if step else ""))
    tab.wait_for_selector("body[data-ready]")
    if section:
        for _ in range(5):
            tab.click("#hundred")
        tab.locator(f"#{section}").scroll_into_view_if_needed()
        tab.evaluate(f"document.getElementById('{section}').scrollIntoView()")
    tab.wait_for_timeout(300)
    with Image.open(io.BytesIO(tab.screenshot())) as picture:
        picture.convert("RGB").quantize(256, kmeans=5).save(IMG / f"explorer-{name}.png", optimize=True)
    tab.close()


if __name__ == "__main__":
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = Path(folder) / "page.html"
        write_page(page)
        for name, shot in SHOTS.items():
            shoot(browser, page, name, **shot)
        browser.close()
