"""Tests of `workbench run` and `workbench pipeline`: flags, output, and equivalence to the Python call."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

import workbench
from tests.experiments.tiny_models import calls
from workbench.cli import status
from workbench.core.errors import ConfigError
from workbench.core.hooked import HookedModel
from workbench.core.metrics import Metric
from workbench.core.registry import ANALYSES
from workbench.experiments.questions.budget import UNLIMITED, allow
from workbench.experiments.questions.spec import Spec, from_fields
from workbench.experiments.run import run

SPEC = Spec("digits", "share", "test:0:20", metric="loss", parameters={"factor": 2.5, "names": ["p", "q"]}, seed=3)


@pytest.fixture(autouse=True)
def here(workspace: Path) -> Path:
    return workspace


def asked(capsys: pytest.CaptureFixture[str], *tokens: str) -> dict[str, object]:
    assert status(["run", *tokens, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_command_line_asks_what_python_asks(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(SPEC)
    tokens = shlex.split(SPEC.complete().as_command())
    assert tokens[:2] == ["workbench", "run"]
    answer = asked(capsys, *tokens[2:])
    assert answer["key"] == SPEC.key and len(calls) == 1
    values = [row["value"] for row in answer["rows"]]  # type: ignore[union-attr]
    torch.testing.assert_close(torch.tensor(values), result.value, rtol=1e-5, atol=1e-5)


@dataclass(frozen=True)
class Answer:
    value: Float[Tensor, " batch"]


def every_kind(
    model: HookedModel, inputs: Any, metric: Metric, corrupted: Any = None, seed: int = 0,
    units: tuple[int, ...] | None = None, names: tuple[str, ...] = ("a",), at: str = "", limit: int | None = 3,
    kind: Literal["a", "b"] | None = None, factor: float = 1.0, switch: bool = True, maybe: bool | None = True,
    word: str | int | None = "x", two_words: str = "",
) -> Answer:  # fmt: skip
    """Take every kind of parameter."""
    return Answer(torch.zeros(1))


ODD = st.sampled_from(["none", "", "-1", "--json", "-h", "null", '"a"'])
ABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.text(ABLE, max_size=8) | st.text("a,\"'-[]= \n\\$", max_size=6) | ODD
WHOLE = st.integers(-5, 5) | st.integers(-(2**63), 2**63 - 1)
PARAMETERS: dict[str, st.SearchStrategy[Any]] = {
    "units": st.none() | st.lists(WHOLE), "names": st.lists(TEXTS), "at": TEXTS, "limit": st.none() | WHOLE,
    "kind": st.sampled_from([None, "a", "b"]), "factor": st.floats(allow_nan=False, allow_infinity=False),
    "switch": st.booleans(), "maybe": st.none() | st.booleans(), "word": st.none() | WHOLE | TEXTS, "two_words": TEXTS,
}  # fmt: skip
PATHS = st.text(ABLE, min_size=1)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries({}, optional=PARAMETERS),
    st.sampled_from(["", "test:0:3", "other:1"]),
    PATHS.map("file:{}".format),
    st.integers(0, 2**32 - 1),
)
def test_every_question_reads_back_from_its_command_and_from_its_python(
    monkeypatch: pytest.MonkeyPatch, parameters: dict[str, Any], corrupted: str, inputs: str, seed: int
) -> None:
    asked: list[Spec] = []
    with monkeypatch.context() as patch, allow(UNLIMITED):
        patch.setitem(ANALYSES._items, "every_kind", every_kind)
        patch.setattr("workbench.cli.running.answer", lambda spec, output, json: asked.append(spec) or 0)
        patch.setattr(workbench, "run", lambda name, **given: asked.append(from_fields({"analysis": name, **given})))
        spec = Spec("digits", "every_kind", inputs, corrupted, "loss", parameters, seed).complete()
        tokens = shlex.split(spec.as_command())
        assert status(tokens[1:]) == 0, tokens
        exec(spec.as_python(), {"workbench": workbench})
    assert asked == [spec, spec]
    assert [type(v) for v in asked[0].parameters.values()] == [type(v) for v in spec.parameters.values()]


@pytest.mark.parametrize("given", [{"at": "\0"}, {"names": ["a", "b\0"]}, {"word": "\ud800"}])
def test_a_text_that_no_command_line_can_hold_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    monkeypatch.setitem(ANALYSES._items, "every_kind", every_kind)
    with pytest.raises(ConfigError, match=f"'{next(iter(given))}' of a specification should be text"):
        Spec("digits", "every_kind", "test:0:3", metric="loss", parameters=given).complete()


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
