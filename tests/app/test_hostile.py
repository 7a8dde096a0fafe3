"""Tests in Chromium that hostile text in links, prompts and names loads or links nothing foreign."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.app.conftest import At
from tests.app.server import Visit
from workbench.experiments.store.run_log import RunLog

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(900)]
PAYLOAD = (
    "` ![p](https://evil.example/p.png) <img src=//evil.example/q.png> [l](https://evil.example/l) www.evil.example "
    "<a href=https://evil.example>a</a> me@evil.example :red[r] $x^2$ <script>evil()</script> :streamlit: **b** `"
)
FOREIGN = """() => {
  const all = [...document.querySelectorAll('*')];
  const held = (node) => ['href', 'src', 'xlink:href', 'srcset', 'poster', 'data', 'action']
    .map((name) => node.getAttribute(name)).filter(Boolean);
  return all.flatMap(held).filter((address) => address.includes('evil') && !address.startsWith(location.origin)
    && !address.startsWith('?') && !/^[a-z]*\\?/.test(address));
}"""
"""Addresses in the page that lead to the other machine; those of our own pages may name it in a choice."""


@pytest.fixture
def visited(at: At) -> Iterator[Visit]:
    with at(width=1900) as visited:
        yield visited


def require_inert(visited: Visit) -> None:
    assert visited.elsewhere == [] and visited.complaints == []
    assert visited.page.evaluate(FOREIGN) == []
    assert visited.page.locator("[data-testid=stMarkdownContainer] :is(script, .katex)").count() == 0


@pytest.mark.parametrize(
    ("view", "choices"),
    [
        ("activations", {"m": "tales_gpt", "inputs": f"text:{PAYLOAD}"}),
        ("activations", {"m": "tales_gpt", "inputs": PAYLOAD}),
        ("activations", {"m": PAYLOAD}),
        ("activations", {"m": "digits_mlp", "hook": PAYLOAD, "unit": PAYLOAD, "row": PAYLOAD}),
        ("patch", {"m": "tales_gpt", "inputs": f"text:{PAYLOAD}", "hook": "blocks.0.hook_mlp_out"}),
        ("patch", {"m": "digits_mlp", "technique": "patching", "corrupted": PAYLOAD, "hook": PAYLOAD}),
        ("circuit", {"m": "digits_mlp", "detail": PAYLOAD}),
        ("preferences", {"m": "tales_gpt", "annotator": PAYLOAD}),
        ("training", {"do": "Train", "set": PAYLOAD, "name": PAYLOAD}),
        ("training", {"do": "Search", "ranges": PAYLOAD, "name": PAYLOAD}),
        ("runs", {"run": PAYLOAD}),
    ],
)
def test_a_hostile_link_draws_nothing_foreign(visited: Visit, view: str, choices: dict[str, str]) -> None:
    visited.open(f"/{view}?{urlencode(choices)}")
    require_inert(visited)
    assert visited.page.locator("[data-testid=stException]").count() == 0


def test_a_run_with_hostile_texts_is_listed_and_opened(visited: Visit) -> None:
    log, key = RunLog(Path(os.environ["WORKBENCH_RUNS"])), "hostile"
    log.start(key, {"analysis": PAYLOAD, "model": PAYLOAD, "inputs": f"text:{PAYLOAD}", "metric": PAYLOAD})
    log.fail(key, PAYLOAD)
    for link in ("/runs", f"/runs?run={key}", "/"):
        visited.open(link)
        require_inert(visited)
