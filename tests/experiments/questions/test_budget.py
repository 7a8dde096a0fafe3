"""Tests of limits on one request, checked before any work begins."""

from __future__ import annotations

import json
import tracemalloc
from math import inf
from pathlib import Path

import pytest

from workbench.cli import status
from workbench.core.errors import InputError, UnknownNameError, WorkbenchError
from workbench.experiments.inputs.reading import read_inputs
from workbench.experiments.pipelines.pipeline import read_pipeline
from workbench.experiments.questions.budget import UNLIMITED, USUAL, Budget, allow, current, read_budget, require
from workbench.experiments.questions.parameters import signature_of
from workbench.experiments.questions.spec import Spec
from workbench.experiments.run import loaded, run, run_analysis
from workbench.experiments.store.results import ResultStore

TOO_MUCH = [
    Spec("cartpole_ppo", "activations", "explored:0:1000000000", parameters={"hook": "hook_input"}),
    Spec("cartpole_ppo", "activations", "rollout:0:1000000000", parameters={"hook": "hook_input"}),
    Spec("cartpole_ppo", "activations", "rollout:0:0:1000000000", parameters={"hook": "hook_input"}),
    Spec("shapes_gan", "activations", "sample:0:1000000000", parameters={"hook": "hook_input"}),
    Spec("digits_mlp", "activations", "test:0:1000000000", parameters={"hook": "hook_input"}),
    Spec("digits_mlp", "activations", "train::99999", parameters={"hook": "hook_input"}),
    Spec("digits_mlp", "patching", "test:0:4", "test:0:1000000", parameters={"hook": "hook_input"}),
    Spec("digits_mlp", "activations", "file:" + "||".join(["a.png"] * 10_001), parameters={"hook": "hook_input"}),
    Spec("induction_gpt", "activations", "text:" + "A " * 600_000, parameters={"hook": "hook_embed"}),
    Spec("digits_mlp", "maximization", parameters={"hook": "hook_input", "steps": 10**9}),
    Spec("digits_mlp", "maximization", parameters={"hook": "hook_input", "units": [0] * 10_001}),
    Spec("cartpole_ppo", "unit_returns", parameters={"hook": "hook_input", "episodes": 10**12}),
]


@pytest.mark.parametrize("spec", TOO_MUCH, ids=lambda spec: f"{spec.analysis} {spec.inputs[:30]}")
def test_a_request_for_too_much_is_refused_from_its_specification_alone(spec: Spec, tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    with pytest.raises(InputError, match=r"are too many for one request, which may have [\d,]+\. .*--allow"):
        run(spec, lambda done, total: pytest.fail("work began"), store)
    assert store.runs().empty and not list(tmp_path.rglob("*.safetensors"))


def test_a_range_is_counted_before_it_is_spelled_out() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="99,999,999,999 units are too many"):
            signature_of("maximization").parse({"units": "0:99999999999"})
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_a_grid_is_counted_before_its_questions_are_made(tmp_path: Path) -> None:
    file = tmp_path / "grid.toml"
    seeds, methods = list(range(1000)), ["zero"] * 900  # JSON's lists are TOML's
    file.write_text(
        '[[runs]]\nmodel = "digits_mlp"\nanalysis = "ablation"\nhook = "blocks.0.hook_post"\n'
        f"[runs.grid]\nseed = {json.dumps(seeds)}\nmethod = {json.dumps(methods)}\n"
    )
    with pytest.raises(WorkbenchError, match="900,000 questions are too many"):
        read_pipeline(file)


def test_an_open_range_of_rows_is_counted_once_its_data_are_there() -> None:
    hook = {"hook": "hook_input"}
    with allow(Budget(rows=100)), pytest.raises(InputError, match="rows 0:359 of the test split"):
        run_analysis("activations", "digits_mlp", "test:0:", **hook)
    with allow(Budget(rows=100)):
        assert len(run_analysis("activations", "digits_mlp", "test:300:", **hook).values) == 59


def test_an_open_range_of_a_text_reads_little_more_than_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = loaded("tales_gpt"), []
    encode = type(model.tokenizer).encode
    monkeypatch.setattr(
        type(model.tokenizer), "encode", lambda self, text: seen.append(len(text)) or encode(self, text)
    )

    with allow(Budget(rows=3)), pytest.raises(InputError, match="4 rows are too many"):
        read_inputs("train:0:", model)
    assert max(seen) < 10_000
    with pytest.raises(InputError, match=r"Row 999,999,999,999 does not exist: the train text of .* characters"):
        read_inputs("train:999999999999", model)
    assert max(seen) < 10_000


def test_a_limit_is_raised_for_a_block_and_no_longer() -> None:
    with pytest.raises(InputError, match="10,001 rows are too many for one request, which may have 10,000"):
        require("rows", 10_001, "these")
    with allow(Budget(rows=20_000)):
        require("rows", 10_001, "these")
    with allow(UNLIMITED):
        require("rows", 10**30, "these")
        with allow(None):
            assert current() == UNLIMITED
    assert current() == USUAL


def test_the_words_of_the_flag_raise_the_limits_they_name() -> None:
    assert read_budget(()) is None
    assert read_budget(["rows=20000", "steps=5"]) == Budget(rows=20_000, steps=5)
    assert read_budget(["rows=20000", "all"]) == UNLIMITED and UNLIMITED.bytes == inf
    with pytest.raises(UnknownNameError, match="Did you mean 'rows'"):
        read_budget(["row=3"])
    for text in ("rows=many", "rows=", "rows", "rows=-1", "rows=1e6"):
        with pytest.raises(InputError, match="is no limit. Write rows=NUMBER"):
            read_budget([text])


def test_the_command_line_refuses_and_raises(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "activations", "--model", "shapes_gan", "--hook", "hook_input", "--inputs", "sample:0:10001"]
    assert status(command) == 2
    said = capsys.readouterr().err
    assert "10,001 rows are too many" in said and "--allow rows=10001" in said and said.count("\n") == 1
    assert status([*command, "--allow", "rows=10001"]) == 0
    assert current() == USUAL
