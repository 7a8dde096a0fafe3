import json
import shlex
from pathlib import Path

import pytest
import torch

from tests.experiments.tiny_models import calls
from workbench.cli import status
from workbench.experiments.run import run
from workbench.experiments.spec import Spec

SPEC = Spec("digits", "share", "test:0:20", metric="loss", parameters={"factor": 2.5, "names": ["p", "q"]}, seed=3)


@pytest.fixture(autouse=True)
def here(workspace: Path) -> Path:
    return workspace


def asked(capsys: pytest.CaptureFixture[str], *tokens: str) -> dict[str, object]:
    assert status(["run", *tokens, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_command_line_asks_what_python_asks(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(SPEC)
    tokens = shlex.split(SPEC.completed().as_command())
    assert tokens[:2] == ["workbench", "run"]
    answer = asked(capsys, *tokens[2:])
    assert answer["key"] == SPEC.key and len(calls) == 1
    values = [row["value"] for row in answer["rows"]]  # type: ignore[union-attr]
    torch.testing.assert_close(torch.tensor(values), result.value, rtol=1e-5, atol=1e-5)


def test_flags_follow_from_the_signature(capsys: pytest.CaptureFixture[str]) -> None:
    flags = "share --model digits --factor 1 --names u,v --limit 7 --double --mode plain"
    assert asked(capsys, *flags.split())["spec"]["parameters"] == {  # type: ignore[index]
        "factor": 1.0, "names": ["u", "v"], "limit": 7, "double": True, "mode": "plain"
    }  # fmt: skip
    assert asked(capsys, *flags.replace("--double", "--no-double").split())["spec"]["parameters"]["double"] is False  # type: ignore[index]


def test_the_help_of_an_analysis_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["run", "share", "--help"]) == 0
    text = capsys.readouterr().out
    flags = "model inputs metric seed factor names mode limit double json output"
    assert all(f"--{flag}" in text for flag in flags.split()) and "multiplies" in text and "[plain|broken]" in text
    assert status(["run", "gap", "--help"]) == 0
    assert "--seed" not in capsys.readouterr().out


def test_every_registered_analysis_has_a_help_page(capsys: pytest.CaptureFixture[str]) -> None:
    from workbench.core.registry import ANALYSES

    for name in ANALYSES:
        assert status(["run", name, "--help"]) == 0
        assert "--model" in capsys.readouterr().out


def test_people_get_a_table_with_its_key(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "share", "--model", "digits", "--factor", "1", "--inputs", "test:0:20"]
    assert status(command) == 0
    first = capsys.readouterr().out
    assert "computed, key" in first and "value" in first and "20 rows in all" in first
    assert status(command) == 0
    assert "stored before" in capsys.readouterr().out and len(calls) == 1


def test_the_result_goes_to_a_file_of_the_kind_its_name_says(here: Path) -> None:
    assert status(["run", "share", "--model", "digits", "--factor", "1", "-o", "out.csv"]) == 0
    assert len((here / "out.csv").read_text().splitlines()) == 17


PIPELINE = """
[[runs]]
model = "digits"
analysis = "share"
factor = 1
[runs.grid]
mode = ["plain", "broken"]
"""


def test_a_pipeline_reports_every_question_and_fails_when_one_did(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "p.toml").write_text(PIPELINE)
    assert status(["pipeline", "p.toml", "--dry-run"]) == 0
    assert capsys.readouterr().out.count("workbench run share") == 2 and not calls
    assert status(["pipeline", "p.toml", "--json"]) == 1
    assert [row["status"] for row in json.loads(capsys.readouterr().out)] == ["done", "failed"]
    assert status(["pipeline", "p.toml"]) == 1
    text = capsys.readouterr().out
    assert "stored" in text and "This mode is broken." in text and "2 questions, 1 without an answer" in text


def test_ctrl_c_ends_cleanly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.experiments.run.compute", interrupted)
    assert status(["run", "share", "--model", "digits", "--factor", "1"]) == 130
    assert "Stopped" in capsys.readouterr().err
