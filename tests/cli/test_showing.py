"""Tests of `workbench show` on models and stored results."""

import json
from pathlib import Path

import pytest
import torch

from workbench.checkpoints.store import load
from workbench.cli import status
from workbench.experiments.questions.spec import Spec
from workbench.experiments.run import run


@pytest.mark.parametrize("name", ["digits", "text", "policy"])
def test_a_model_is_shown_with_its_card_hooks_and_graph(
    name: str, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(["show", name, "--json"]) == 0
    shown, model = json.loads(capsys.readouterr().out), load(name)
    assert shown["card"]["parameters"] == sum(p.numel() for p in model.parameters())
    assert {hook["hook"] for hook in shown["hooks"]} == set(model.trace())
    assert shown["graph"]["edges"] == model.graph().n_edges
    assert status(["show", name]) == 0
    text = capsys.readouterr().out
    assert f"{model.graph().n_edges:,} edges" in text and all(hook in text for hook in model.trace())


def test_a_result_is_shown_with_what_it_depends_on_and_why_it_was_computed_again(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = Spec("digits", "share", "test:0:4", parameters={"factor": 2.0})
    run(spec)
    first = spec.key
    assert status(["show", first[:8]]) == 0
    text = capsys.readouterr().out
    assert "mlp(n_features=64" in text and f"torch: {torch.__version__}" in text and "data digits: " in text
    assert "this is the answer" in text and spec.complete().as_command() in text
    monkeypatch.setattr(torch, "__version__", "99.0")
    assert status(["show", first]) == 0
    assert "Asked now, it is not used: torch " in capsys.readouterr().out
    command = ["run", "share", "--model", "digits", "--inputs", "test:0:4", "--factor", "2"]
    assert status(command) == 0
    assert "The stored answer was not used: torch " in capsys.readouterr().out
    assert status(["show", spec.key, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["facts"] == spec.facts and shown["today"] == []
    assert shown["earlier"][0]["key"] == first and shown["earlier"][0]["because"][0].startswith("torch ")
    assert status([*command, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["computed"] is False and again["because"] == []


def test_what_is_neither_a_model_nor_a_key_is_refused(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["show", "digit"]) == 2
    assert "Did you mean 'digits'" in capsys.readouterr().err
