"""Tests of `workbench export`."""

from pathlib import Path

import pytest

from workbench.cli import status
from workbench.experiments.questions.spec import Spec
from workbench.experiments.run import run


@pytest.fixture
def key(workspace: Path) -> str:
    spec = Spec("digits", "share", "test:0:4", parameters={"factor": 2.0})
    run(spec)
    return spec.key


def test_a_result_goes_to_stdout_as_csv(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["export", key[:8]]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5


@pytest.mark.parametrize("to", ["csv", "json", "parquet", "html"])
def test_the_ending_of_the_file_says_what_it_becomes(key: str, to: str, workspace: Path) -> None:
    assert status(["export", key, "-o", f"x.{to}"]) == 0
    assert (workspace / f"x.{to}").stat().st_size > 0


def test_what_is_no_text_needs_a_file(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["export", key, "--to", "parquet"]) == 2
    assert "Add -o result.parquet" in capsys.readouterr().err
