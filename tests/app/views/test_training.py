"""Tests of the Training page: checks, searches, comparisons, and the commands that it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.pages import Open, clean, said_by


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands that the page Training starts, which are noted and not run."""
    from app.widgets import training_panel

    commands: list[list[str]] = []
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    monkeypatch.setattr(training_panel.subprocess, "Popen", lambda command, **_: commands.append(command[3:]))
    return commands


@pytest.mark.parametrize("way", ["Check", "Search", "Compare"])
def test_the_training_page_opens_on_each_thing_to_do(opened: Open, way: str, launched: list[list[str]]) -> None:
    page = clean(opened("training", do=way, **({"steps": "5"} if way == "Check" else {})))
    assert not launched and bool(page.get("plotly_chart")) == (way != "Search")  # nothing was searched yet


def test_a_training_is_started_as_a_command_and_a_mistake_is_told_before(
    opened: Open, launched: list[list[str]]
) -> None:
    page = clean(opened("training", set="steps=20 lr=0.01", name="mine"))
    next(button for button in page.button if button.label == "Train").click().run()
    (command,) = launched
    assert command[:2] == ["train", "digits_mlp"] and command[-3:] == ["--set", "steps=20", "lr=0.01"]
    assert Path(command[3]).name == "mine"
    page = opened("training", set="stpes=20", name="mine")
    next(button for button in page.button if button.label == "Train").click().run()
    assert "Did you mean" in said_by(page.error[0]) and len(launched) == 1
    assert "no recipe" in opened("training", name="digits_mlp").error[0].value
