"""Fixture that opens a page by its link."""

from __future__ import annotations

import pytest

from app.state import jobs
from tests.app.pages import Open, open_page


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens a page by its link; results are waited for."""
    monkeypatch.setattr(jobs, "PATIENCE", 100.0)
    return lambda view, **choices: open_page(view, choices)
