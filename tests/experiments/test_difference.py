"""Tests of comparisons between tuned models and their original, and of their errors."""

from __future__ import annotations

import pytest
import torch

from tests.conftest import missing_data
from workbench.core.errors import Cancelled, ConfigError, InputError
from workbench.experiments.difference import (
    activation_parts,
    comparable,
    difference,
    original_of,
    trace,
    tuned_beside,
    tuned_models,
    weight_parts,
    work_of,
)

TUNED = [
    pytest.param(
        name, marks=() if name in ("stories_gpt_classifier", "stories_gpt_classifier_lora") else pytest.mark.full
    )
    for name, origin in sorted(tuned_models().items())
    if origin == "stories_gpt"
]
"""One with all weights trained and one with adapters; the whole of them are slow."""


def test_a_model_differs_from_itself_in_nothing() -> None:
    found = trace(["tales_gpt"], original="tales_gpt", examples=4).found["tales_gpt"]
    assert found.weights.relative.eq(0).all() and found.weights.within("blocks.0") == 0
    assert found.kl.per_token == pytest.approx(0, abs=1e-6)
    assert found.shift.size.eq(0).all()


def test_models_tuned_from_one_stand_side_by_side() -> None:
    traced = trace(["tales_ppo", "tales_dpo"], examples=2)
    assert traced.original == "tales_gpt" and traced.kinds == ()
    for table in traced.tables(3).values():
        assert len(table) >= 3 and all({"tales_ppo", "tales_dpo"} <= set(row) for row in table)
    parts = {row["part"]: row["tales_ppo"] for row in traced.changes()}
    weights = traced.found["tales_ppo"].weights
    inside = [i for i, name in enumerate(weights.names) if name.startswith("blocks.0.mlp")]
    whole = (weights.change[inside].square().sum() / weights.before[inside].square().sum()).sqrt()
    assert parts["blocks.0.mlp"] == pytest.approx(float(whole), rel=1e-5)


def test_beside_a_tuned_model_stand_those_tuned_to_its_task_alone() -> None:
    assert tuned_beside("stories_gpt_classifier") == ["stories_gpt_classifier_lora"]
    assert set(tuned_beside("tales_ppo")) == {"tales_dpo", "tales_hacked", "tales_reward"}


@pytest.mark.slow
def test_every_part_of_a_tuned_model_can_be_restored() -> None:
    traced = trace(["tales_hacked"], examples=4, restore=True)
    found, tuned = traced.found["tales_hacked"].restored, comparable("tales_hacked")
    layers, heads = tuned.cfg.n_layers, tuned.cfg.n_heads
    assert len(found["activations"].names) == layers * (3 + heads) == len(activation_parts(tuned))
    assert found["weights"].names == tuple(weight_parts(tuned))
    assert len(found["the stream along its mean shift"].names) == layers
    last = found["activations"].names.index(f"blocks.{layers - 1}.hook_resid_post")
    assert found["activations"].restored.shape == (layers * (3 + heads), 4)
    assert found["activations"].restored[last].isfinite().all()
    first, second, *rest = traced.tables(3)["True reward with weights restored"]
    assert (first["restored"], second["restored"], len(rest)) == ("(as tuned)", "tales_gpt", 3)


@pytest.mark.slow
@pytest.mark.skipif(bool(missing_data("english_stories")), reason="needs the stories")
@pytest.mark.parametrize("tuned", TUNED)
def test_what_fine_tuning_on_questions_changed_is_undone_by_the_whole_stream(tuned: str) -> None:
    """The stream after the last block restored, under the original's read-out, answers as the original does."""
    after, before = comparable(tuned), comparable("stories_gpt")
    for name, weight in after.named_parameters():
        if not name.startswith("blocks."):
            weight.data.copy_(before.get_parameter(name))
    work = work_of(tuned, after, 4, seed=0)
    found = difference(after, before, work, restore=True)
    assert found.weights.within("blocks.") > 0 and found.kl.per_token > 0
    activations = found.restored["activations"]
    last = activations.names.index(f"blocks.{after.cfg.n_layers - 1}.hook_resid_post")
    torch.testing.assert_close(activations.restored[last], activations.original, atol=5e-3, rtol=1e-4)


def test_models_of_several_origins_are_not_compared() -> None:
    with pytest.raises(InputError, match="tuned from no other model"):
        trace(["digits_mlp"])
    with pytest.raises(InputError, match="neither tells tales nor answers questions"):
        trace(["induction_gpt"], original="induction_gpt")
    assert original_of(["tales_ppo", "tales_reward"]) == "tales_gpt"


@pytest.mark.slow
@pytest.mark.parametrize(("after", "restore"), [(0, False), (2, False), (9, True)])
def test_a_comparison_is_cancelled_at_any_report(after: int, restore: bool) -> None:
    def report(done: int, total: int) -> None:
        if done == after:
            raise Cancelled(f"{done} of {total}")

    with pytest.raises(Cancelled, match=f"^{after} of "):
        trace(["tales_ppo"], examples=2, restore=restore, progress=report)


@pytest.mark.slow
def test_the_steps_of_a_comparison_are_those_announced() -> None:
    reports: list[tuple[int, int]] = []
    trace(["tales_ppo"], examples=2, restore=True, progress=lambda done, total: reports.append((done, total)))
    counted = [done for done, _ in reports]
    assert {total for _, total in reports} == {counted[-1]}
    assert counted == sorted(counted) and {*counted} == {*range(counted[-1] + 1)}


@pytest.mark.parametrize("wrong", [{"examples": 0}, {"examples": -3}, {"seed": -1}, {"seed": 1.5}])
def test_numbers_outside_of_their_range_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        trace("tales_ppo", **wrong)  # type: ignore[arg-type]
