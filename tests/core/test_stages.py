"""Tests of sweeps: start of each condition, shared runs, and number of runs of each stage."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tests.zoo.small import SMALL, example, small
from workbench.core.errors import InputError, ShapeError
from workbench.core.hook_points import AxisHookPoint
from workbench.core.hooked import HookedModel, batch_size
from workbench.core.interventions import scale, zero
from workbench.core.metrics import logits_of
from workbench.core.stages import sweep


def measure(output: Any) -> Tensor:
    value = output.value if hasattr(output, "value") else 0
    return logits_of(output).sin().sum(dim=-1) + value


def naive(model: HookedModel, inputs: Any, conditions: list[tuple]) -> Tensor:
    rows = []
    for condition in conditions:
        with torch.no_grad(), model.edited(list(condition)):
            rows.append(measure(model(inputs)))
    return torch.stack(rows)


def one_hook_of_each_stage(model: HookedModel) -> list[str]:
    return list({info.stage: hook for hook, info in model.trace().items() if not info.on_request}.values())


def runs_of_stages(model: HookedModel, conditions: list[tuple], memory: int = 2**21) -> list[int]:
    """How often each stage runs in a sweep, without the passes that only measure the activations."""
    inputs, runs = example(model), Counter[int]()
    model.trace(), model.trace(inputs, on_request=False)
    handles = [
        stage.register_forward_pre_hook(lambda _, __, place=place: runs.update([place]))
        for place, stage in enumerate(model.stages)
    ]
    sweep(model, inputs, conditions, measure, memory=memory)
    for handle in handles:
        handle.remove()
    return [runs[place] for place in range(len(model.stages))]


@pytest.mark.parametrize("memory", [1, 2**21])
@pytest.mark.parametrize("name", SMALL)
def test_a_condition_on_hooks_of_several_stages_starts_at_the_first_of_them(name: str, memory: int) -> None:
    model = small(name)
    inputs, hooks = example(model), one_hook_of_each_stage(model)
    conditions: list[tuple] = [()]
    for early, late in pairwise(hooks):
        conditions += [
            (scale(early, 0.5), scale(late, 1.5)),
            (scale(late, 1.5), scale(early, 0.5)),
            (scale(late, 1.5),),
        ]
    conditions.append(tuple(scale(hook, 0.9) for hook in reversed(hooks)))
    swept = sweep(model, inputs, conditions, measure, memory=memory)
    assert_close(swept, naive(model, inputs, conditions), rtol=1e-9, atol=1e-9)


def test_edits_of_one_hook_apply_in_their_order() -> None:
    model = small("mlp")
    inputs, hook = example(model), "blocks.0.hook_post"
    conditions = [
        (zero(f"{hook}[unit=0]"), scale(hook, 3.0)),
        (scale(hook, 3.0), zero(hook)),
        (zero(hook), scale(hook, 2.0)),
    ]
    swept = sweep(model, inputs, conditions, measure)
    assert_close(swept, naive(model, inputs, conditions), rtol=1e-12, atol=1e-12)
    assert torch.equal(swept[1], swept[2]) and not torch.allclose(swept[0], swept[1])


def test_the_part_before_a_condition_runs_once_and_conditions_share_the_part_after() -> None:
    model = small("mlp")
    conditions = [(zero(f"blocks.1.hook_post[unit={unit}]"),) for unit in range(4)]
    assert runs_of_stages(model, conditions) == [1, 1, 1, 1]
    assert runs_of_stages(model, conditions, memory=1) == [1, 1, 4, 4]  # no room for two at once
    assert runs_of_stages(model, [*conditions, ()], memory=1) == [1, 1, 5, 5]


def test_as_many_conditions_share_a_run_as_memory_holds() -> None:
    model = small("mlp")
    largest = max(torch.Size(info.shape).numel() for info in model.trace(example(model)).values())
    conditions = [(zero(f"blocks.0.hook_post[unit={unit}]"),) for unit in range(5)]
    for fitting, runs in {1: 5, 2: 3, 4: 2, 5: 1}.items():
        for memory in (4 * largest * fitting, 4 * largest * (fitting + 1) - 1):
            assert runs_of_stages(model, conditions, memory) == [1, runs, runs, runs]


def test_a_sweep_reports_every_run_and_ends_at_all_conditions() -> None:
    model, seen = small("mlp"), list[tuple[int, int]]()
    conditions = [(), *((zero(f"blocks.{layer}.hook_post[unit=0]"),) for layer in (1, 0, 1))]
    sweep(model, example(model), conditions, measure, memory=1, progress=lambda *at: seen.append(at))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_empty_condition_is_the_intact_network() -> None:
    model = small("mlp")
    assert_close(sweep(model, example(model), [(), ()], measure)[1], measure(model(example(model))))


def test_swept_values_carry_no_gradient() -> None:
    model = small("mlp")
    assert not sweep(model, example(model), [(), (zero("blocks.0.hook_post"),)], measure).requires_grad


@pytest.mark.parametrize("bad", [lambda y: y.mean(), lambda y: y, lambda y: measure(y)[:1]])
@pytest.mark.parametrize("condition", [(), (zero("blocks.0.hook_post"),)])
def test_a_measure_that_is_not_one_number_per_example_is_refused(bad: Any, condition: tuple) -> None:
    model = small("mlp")
    with pytest.raises(ShapeError, match=r"for 2 examples. Return one number per example"):
        sweep(model, example(model), [condition], bad)


def test_the_batch_is_the_first_axis_of_the_first_tensor() -> None:
    assert batch_size(torch.zeros(3, 2)) == 3
    assert batch_size((torch.zeros(5, 2), torch.zeros(7))) == 5 and batch_size(["a", torch.zeros(4)]) == 4
    for empty in ((), "text", torch.zeros(())):
        with pytest.raises(InputError, match="no tensor with a batch axis"):
            batch_size(empty)


def test_every_measure_sees_the_rows_of_its_own_condition_alone() -> None:
    model, seen = small("mlp"), list[int]()
    conditions = [(zero(f"blocks.0.hook_post[unit={unit}]"),) for unit in range(3)]

    def watch(output: Tensor) -> Tensor:
        seen.append(len(output))
        return measure(output)

    sweep(model, example(model), conditions, watch)
    assert seen == [2, 2, 2]


def test_conditions_on_one_example_share_a_run() -> None:
    model, runs = small("gpt"), list[int]()
    inputs, hook = example(model, 1), "blocks.0.attn.hook_z"
    model.trace(inputs, on_request=False)
    heads = [(zero(f"{hook}[head={head}]"),) for head in range(model.trace()[hook].size("head"))]
    handle = model.get_submodule("unembed").register_forward_pre_hook(lambda *_: runs.append(1))
    swept = sweep(model, inputs, heads, measure)
    handle.remove()
    assert len(heads) > 1 and len(runs) == 1
    assert_close(swept, naive(model, inputs, heads), rtol=1e-9, atol=1e-9)


class CentredRows(HookedModel):
    """Rows minus their mean, which is an activation without rows."""

    def __init__(self) -> None:
        super().__init__()
        self.hook_rows, self.hook_mean = AxisHookPoint("batch unit"), AxisHookPoint("unit")
        self.setup(stages=[self.centre])

    def centre(self, x: Tensor) -> Tensor:
        x = self.hook_rows(x)
        return x - self.hook_mean(x.mean(dim=0))

    def example(self, batch: int = 2, seed: int = 0) -> Tensor:
        return torch.arange(3.0 * batch).reshape(batch, 3) ** 2


def test_conditions_run_apart_where_an_activation_has_no_rows() -> None:
    model = CentredRows().eval()
    conditions = [(zero(f"hook_rows[unit={unit}]"),) for unit in range(3)] + [(scale("hook_rows", 2.0),)]
    swept = sweep(model, model.example(), conditions, measure)
    assert_close(swept, naive(model, model.example(), conditions))


def test_a_measure_that_writes_into_the_output_does_not_reach_other_conditions() -> None:
    model = small("mlp")
    conditions = [(), (), (zero("blocks.0.hook_post"),), ()]
    swept = sweep(model, example(model), conditions, lambda y: y.sub_(1)[:, 0])
    assert torch.equal(swept[0], swept[1]) and torch.equal(swept[1], swept[3])
    assert_close(swept[0], model(example(model))[:, 0] - 1)
