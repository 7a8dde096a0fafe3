"""Tests of `workbench list`, for people and as JSON."""

import json
from pathlib import Path
from typing import get_args

import pytest

from workbench.cli import status
from workbench.cli.listing import EMPTY, LISTS, Kind


@pytest.fixture(autouse=True)
def here(workspace: Path) -> Path:
    return workspace


def test_every_kind_has_a_list_and_words_for_when_it_is_empty() -> None:
    assert set(get_args(Kind)) == set(LISTS) == set(EMPTY)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_list_is_lines_for_people_and_json_for_machines(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["list", kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert status(["list", kind, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert lines and (len(lines) == len(rows) + 1 or not rows)
    assert all(line.startswith(row.get("name", "")) for line, row in zip(lines[1:], rows, strict=True))


def test_a_model_is_listed_with_its_headline(capsys: pytest.CaptureFixture[str]) -> None:
    status(["list"])
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("digits"))
    assert "mlp" in line and "test_accuracy 0.5" in line


def test_an_analysis_is_listed_with_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    status(["list", "analyses", "--json"])
    share = next(row for row in json.loads(capsys.readouterr().out) if row["name"] == "share")
    factor = next(p for p in share["parameters_of"] if p["name"] == "factor")
    assert share["about"] == "The metric, scaled." and factor["required"] and factor["type"] == "number"


def test_runs_are_listed_with_their_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["list", "runs"]) == 0
    assert "Nothing was run yet" in capsys.readouterr().out
    status(["run", "share", "--model", "digits", "--factor", "1"])
    capsys.readouterr()
    status(["list", "runs", "--json"])
    (row,) = json.loads(capsys.readouterr().out)
    assert row["status"] == "done" and row["analysis"] == "share" and row["spec"]["parameters"]["factor"] == 1.0


def test_models_are_a_table_for_a_readme_and_other_lists_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["list", "models", "--markdown"]) == 0
    head, rule, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("| model | what | data |") and len({line.count("|") for line in (head, rule, *rows)}) == 1
    assert [row.split("`")[1] for row in rows] == [row["name"] for row in LISTS["models"]()]
    assert status(["list", "runs", "--markdown"]) == 2
    assert "of models alone, not of runs" in capsys.readouterr().err
