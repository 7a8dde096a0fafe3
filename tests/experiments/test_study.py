"""A study asks what `workbench.run` asks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.experiments.own_networks import Net, X, margin
from tests.experiments.tiny_models import calls
from workbench.core.errors import InputError, UnknownNameError
from workbench.core.hooked import HookedModel
from workbench.experiments.run import catalog, run_analysis
from workbench.experiments.study import Study


@pytest.fixture(autouse=True)
def here(workspace: Path) -> Path:
    return workspace


def test_a_study_and_a_single_question_share_their_answer() -> None:
    expected = run_analysis("share", "digits", "test:0:4", metric="loss", seed=3, factor=2.0)
    study = Study("digits", "test:0:4", metric="loss", seed=3)
    found = study.answer("share", factor=2.0)
    assert not found.computed and torch.equal(found.result.value, expected.value) and len(calls) == 1
    assert found.key == catalog()["key"][0]


def test_a_module_is_opened_once_and_its_contrast_is_kept() -> None:
    study = Study(Net(), inputs=X, corrupted=X.flip(0), metric=margin)
    assert isinstance(study.model, HookedModel) and study.network is study.model
    values = margin(Net()(X)).detach()
    torch.testing.assert_close(study.run("gap").value, values - values.flip(0))
    torch.testing.assert_close(study.run("share", factor=2.0).value, 2 * values)
    circuit = replace(study, inputs=X[:1], corrupted=X[:1] + 2).circuit(method="exact")
    assert circuit.wiring.n_edges > 4
    same = replace(study, corrupted=X)
    assert same.model is study.model and not same.run("gap").value.any()


def test_mistakes_are_those_of_a_single_question() -> None:
    with pytest.raises(InputError, match="needs an example"):
        Study(Net(), inputs="test:0:4")
    with pytest.raises(UnknownNameError, match="ablation"):
        Study("digits").run("ablatoin")
