"""Tests of `workbench store`: check, repair and confirmed deletion."""

import json
from pathlib import Path

import pytest

from workbench.cli import status, storing
from workbench.experiments.questions.spec import Spec
from workbench.experiments.run import run
from workbench.experiments.store.results import ResultStore

SPEC = Spec("digits", "share", "test:0:4", parameters={"factor": 2.0})


@pytest.fixture(autouse=True)
def orphan(workspace: Path) -> Path:
    """A result file that no row lists."""
    run(SPEC)
    store = ResultStore()
    with store.open_to_write() as database:
        database.execute("DELETE FROM results")
    return store.path(SPEC.key)


def said(capsys: pytest.CaptureFixture[str], *tokens: str, code: int = 0) -> str:
    assert status(["store", *tokens]) == code
    return capsys.readouterr().out


def test_check_lists_and_changes_nothing(orphan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        text = said(capsys, "check", code=1)
        assert f"unlisted result  results/{orphan.name}" in text and "`workbench store repair`" in text
    found = json.loads(said(capsys, "check", "--json", code=1))
    assert found["files"] == 1 and found["findings"][0]["remedy"] == "repair or clean"


def test_repair_brings_the_answer_back(orphan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not ResultStore().has(SPEC.key)
    assert "Repaired" in said(capsys, "repair") and ResultStore().has(SPEC.key)
    assert "Nothing to repair" in said(capsys, "repair")
    assert "Nothing is damaged" in said(capsys, "check")


def test_nothing_is_deleted_that_nobody_confirmed(
    orphan: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for flags in ([], ["--json"]):
        assert orphan.name in said(capsys, "clean", *flags, code=1) and orphan.exists()
    monkeypatch.setattr(storing, "confirm", lambda question: False)
    assert "Nothing was deleted" in said(capsys, "clean", code=1) and orphan.exists()
    monkeypatch.setattr(storing, "confirm", lambda question: True)
    assert "Deleted: 1" in said(capsys, "clean") and not orphan.exists()
    assert "Nothing to clean" in said(capsys, "clean")


def test_yes_deletes_without_asking(orphan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    freed = json.loads(said(capsys, "clean", "--yes", "--json"))
    assert freed["bytes"] > 0 and not orphan.exists() and [f["name"] for f in freed["deleted"]] == [
        f"results/{orphan.name}"
    ]  # fmt: skip
