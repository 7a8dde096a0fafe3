"""Benchmark of the dashboard: first paint, time of every page, outgoing requests, and `workbench --help`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from tests.app.server import dashboard, visit
from tests.bench.harness import Figure
from tests.browser import ARGUMENTS, MISSING, chromium

VIEWS = ("home", "model", "activations", "ablation", "maximization", "circuit", "runs")
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
MODEL = "digits_mlp"


def figures() -> Iterator[Figure]:
    """Every figure of this benchmark; those of the browser only where there is one."""
    yield Figure("app.help", statistics.median(help_seconds() for _ in range(7)), "s", target="<= 0.3")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WORKBENCH_RUNS"] = folder
        yield from in_browser(Path(folder))
        yield from pages()


def help_seconds() -> float:
    """Time of `workbench --help`, the start of Python included."""
    start = perf_counter()
    subprocess.run([sys.executable, "-m", "workbench", "--help"], capture_output=True, check=True)
    return perf_counter() - start


def in_browser(folder: Path) -> Iterator[Figure]:
    """First paint of a server that was just started and later, and what the pages ask of other machines."""
    path = chromium()
    if path is None:
        sys.stderr.write(f"app: {MISSING}\n")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, dashboard(folder) as address:
        browser = playwright.chromium.launch(executable_path=str(path), args=ARGUMENTS)
        yield Figure("app.first_paint.cold", paint(browser, address, "/"), "s", target="<= 1.5")
        with visit(browser, address) as visited:
            visited.open(f"/circuit?m={MODEL}")  # the libraries are imported when it is drawn
        warm = [paint(browser, address, f"/{view}") for view in ("", "model", "circuit")]
        yield Figure("app.first_paint.warm", statistics.median(warm), "s", target="<= 1.5")
        with visit(browser, address) as visited:
            for view in VIEWS:
                visited.open(f"/{'' if view == 'home' else view}?m={MODEL}")
            yield Figure("app.requests_elsewhere", len(visited.elsewhere), f"in {len(VIEWS)} pages", target="== 0")
            yield Figure("app.console_errors", len(visited.complaints), f"in {len(VIEWS)} pages", target="== 0")
        browser.close()


def paint(browser: Any, address: str, link: str) -> float:
    """Seconds from the request to the first contentful paint, with an empty cache."""
    with visit(browser, address) as visited:
        visited.page.goto(address + link)
        visited.page.wait_for_function(f"{PAINT} > 0", timeout=60_000)
        return visited.page.evaluate(PAINT) / 1000


def pages() -> Iterator[Figure]:
    """Time to run each page's script once everything is imported and computed."""
    from tests.app.pages import open_page

    for view in VIEWS:
        page = open_page(view, {"m": MODEL})
        assert not page.exception and not page.error, f"{view} shows an error"
        yield Figure(f"app.page.{view}", statistics.median(timed(page) for _ in range(5)), "s", target="<= 0.5")


def timed(page: Any) -> float:
    """Seconds of one run of a page."""
    start = perf_counter()
    page.run()
    return perf_counter() - start
