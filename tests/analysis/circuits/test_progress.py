"""Tests that every circuit technique reports its progress in order, up to the total it announced."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import workbench
from tests.test_registries import QUICK, hook_with_units
from tests.zoo.small import example, small
from workbench.analysis.circuits.attribution import eap_ig
from workbench.analysis.circuits.edge_pruning import MaskConfig, learned_masks
from workbench.core.fitting import missing_axes
from workbench.core.metrics import Logit
from workbench.core.registry import ANALYSES
from workbench.experiments.questions.parameters import signature_of
from workbench.experiments.run import run_analysis

REPORTING = [
    name for name in ANALYSES if ".circuits." in ANALYSES[name].__module__ and "progress" in signature_of(name).injected
]


def reports(analysis: str, model: str, **parameters: object) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    taken = signature_of(analysis).parameters
    chosen = {name: value for name, value in QUICK.items() if name in taken} | parameters
    if "hook" in taken:
        chosen["hook"] = hook_with_units(workbench.load(model))
    run_analysis(analysis, model, progress=lambda *at: seen.append(at), **chosen)
    return seen


def assert_counts_up(seen: list[tuple[int, int]]) -> None:
    """A technique of two parts, such as scoring and measuring, may count each part in steps of its own."""
    seen = [(done, total) for done, total in seen if done]  # reading inputs reports that nothing is done yet
    shares = [done / total for done, total in seen]
    assert shares == sorted(shares) and shares[-1] == 1
    for total in {total for _, total in seen}:
        steps = [done for done, of in seen if of == total]
        assert len(set(steps)) == len(steps) or steps[-1] == total, "a step is reported twice"


@pytest.mark.parametrize("model", ["digits_mlp", "induction_gpt"])
@pytest.mark.parametrize("analysis", REPORTING)
def test_progress_counts_up_to_its_total(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, analysis: str, model: str
) -> None:
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    if missing_axes(ANALYSES[analysis], workbench.load(model)):
        pytest.skip(f"{analysis} does not fit {model}")
    assert_counts_up(reports(analysis, model))


@pytest.mark.parametrize("method", ["acdc", "eap_ig", "exact", "learned", "local"])
def test_progress_of_every_method_counts_up_to_its_total(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, method: str
) -> None:
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    assert_counts_up(reports("circuit", "cartpole_a2c", method=method, inputs="rollout:0:4"))


@pytest.mark.parametrize("steps", [1, 3])
def test_gradients_and_learned_masks_report_each_of_their_steps(steps: int) -> None:
    model, seen = small("mlp"), list[tuple[int, int]]()
    graph, inputs = model.graph(), example(model)
    metric = Logit(torch.zeros(len(inputs)).long())
    other = graph.writes(example(model, seed=1))
    eap_ig(graph, inputs, other, metric, steps=steps, progress=lambda *at: seen.append(at))
    assert seen == [(step + 1, steps) for step in range(steps)]
    seen.clear()
    learned_masks(graph, inputs, other, metric, MaskConfig(steps=steps), progress=lambda *at: seen.append(at))
    assert seen == [(step + 1, steps) for step in range(steps)]
