"""Tests of command output: tables, JSON and progress bars."""

import json

import pytest

from workbench.cli.writing import bar, cell, write_json, write_table


def test_columns_line_up(capsys: pytest.CaptureFixture[str]) -> None:
    write_table([{"a": "long text", "b": 1234}, {"a": "x", "b": 0.12345}])
    assert capsys.readouterr().out == "a          b\nlong text  1,234\nx          0.123\n"


def test_a_cell_is_one_short_line() -> None:
    assert cell("a\n b") == "a b" and len(cell("x" * 99)) == 60 and cell(True) == "True" and cell(12345.6) == "12346"


def test_json_is_json_and_not_a_number_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    write_json({"ü": [1, None]})
    assert json.loads(capsys.readouterr().out) == {"ü": [1, None]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(float("nan"))


def test_a_bar_stays_silent_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("title") as progress:
        progress(1, 2)
    assert capsys.readouterr() == ("", "")
