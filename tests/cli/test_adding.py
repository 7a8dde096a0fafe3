"""`workbench add` and `workbench remove`."""

import io
import sys

import pytest

from workbench.checkpoints.card import names
from workbench.cli import MISUSED, status


@pytest.fixture(autouse=True)
def adding(network_file: str) -> list[str]:
    """The words that add a network."""
    return ["add", "mine", "--from", f"{network_file}:with_example"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_network_is_added_listed_shown_asked_and_removed(
    adding: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status([*adding, "--yes"]) == 0
    assert "32 parameters" in capsys.readouterr().out
    for words, said in (
        (["list", "models"], "mine  foreign"),
        (["show", "mine"], "foreign: opened from its source, not trained here"),
        (["run", "share", "--model", "mine", "--factor", "1"], "computed, key"),
        (["run", "share", "--model", "mine", "--factor", "1"], "stored before"),
        (["remove", "mine"], "mine is removed"),
    ):
        assert status(words) == 0
        assert said in capsys.readouterr().out
    assert names() == []


@pytest.mark.parametrize(("answer", "added"), [("y\n", True), ("yes\n", True), ("\n", False), ("n\n", False)])
def test_code_is_run_after_a_yes_on_the_terminal(
    adding: list[str], answer: str, added: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert status(adding) == (0 if added else MISUSED)
    asked = capsys.readouterr()
    assert "Run it? [y/N]" in asked.out and (names() == ["mine"]) is added
    assert added or "--yes" in asked.err


def test_without_a_terminal_no_code_is_run(
    adding: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert status(adding) == MISUSED and "runs the code in" in capsys.readouterr().err
    assert names() == []


def test_settings_are_words_with_an_equals_sign(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["add", "mine", "--from", "weights.safetensors", "--architecture", "mlp", "--set", "hidden"]
    assert status(words) == MISUSED and "Write FIELD=VALUE" in capsys.readouterr().err
