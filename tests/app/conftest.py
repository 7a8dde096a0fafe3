"""Fixtures of the browser tests: one server and one page of each size for all tests of a worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.app.server import Visit, dashboard, visit

At = Callable[..., AbstractContextManager[Visit]]


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The address of a running dashboard."""
    with dashboard(Path(os.environ["WORKBENCH_RUNS"])) as address:
        yield address


@pytest.fixture(scope="session")
def at(browser: Any, address: str) -> Iterator[At]:
    """A page of a width and a colour scheme, as a reader's who opens one link after another.

    Opening a link begins a session of its own; what the page does wrong is noted anew for each test.
    """
    opened: dict[tuple[int, str], Visit] = {}
    with ExitStack() as stack:

        @contextmanager
        def page(width: int = 1280, scheme: str = "light") -> Iterator[Visit]:
            if (width, scheme) not in opened:
                opened[width, scheme] = stack.enter_context(visit(browser, address, width, scheme))
            visited = opened[width, scheme]
            visited.page.goto("about:blank")
            visited.elsewhere.clear()
            visited.complaints.clear()
            yield visited

        yield page


@pytest.fixture
def visited(at: At) -> Iterator[Visit]:
    """A page that makes no request to another machine and writes no error into its console."""
    with at() as visited:
        yield visited
        assert visited.elsewhere == []
        assert visited.complaints == []
