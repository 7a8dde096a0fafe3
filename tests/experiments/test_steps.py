"""Questions to a network as it was at a step of its training."""

from __future__ import annotations

import pytest
import torch

import workbench
from workbench.core.errors import InputError
from workbench.experiments.questions.spec import Spec
from workbench.experiments.store.dependencies import facts_of


def test_a_question_to_a_step_is_answered_by_its_weights_and_has_a_key_of_its_own() -> None:
    """A step is read by `load`, and its logits are those of the result."""
    keys = set()
    for name, model in (
        ("cartpole_ppo@0", workbench.load("cartpole_ppo", step=0)),
        ("cartpole_ppo@30", workbench.load("cartpole_ppo", step=30)),
        ("cartpole_ppo", workbench.load("cartpole_ppo")),
    ):
        found = workbench.run("activations", model=name, inputs="explored:0:4", hook="hook_input")
        with torch.no_grad():
            expected = model(found.values).logits
        torch.testing.assert_close(found.logits, expected)
        keys.add(Spec(name, "activations", "explored:0:4", parameters={"hook": "hook_input"}).key)
    assert len(keys) == 3


def test_the_key_of_a_step_follows_its_file() -> None:
    facts = facts_of(Spec("induction_gpt@0", "anatomy").complete())
    later = facts_of(Spec("induction_gpt@1000", "anatomy").complete())
    assert list(facts["models"]) == ["induction_gpt@0"]
    assert facts["models"]["induction_gpt@0"]["step"] != later["models"]["induction_gpt@1000"]["step"] != ""


@pytest.mark.parametrize("analysis", ["circuit", "head_patterns", "patching"])
def test_a_step_has_the_usual_inputs_and_metric_of_its_network(analysis: str) -> None:
    parameters = {"hook": "blocks.*.hook_resid_pre"} if analysis == "patching" else {}
    step, whole = (Spec(name, analysis, parameters=parameters).complete() for name in ("ioi_gpt@0", "ioi_gpt"))
    assert (step.inputs, step.corrupted, step.metric) == (whole.inputs, whole.corrupted, whole.metric)


def test_a_step_that_was_not_kept_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="kept no step '31'. Did you mean cartpole_ppo@30"):
        workbench.run("anatomy", model="cartpole_ppo@31")
