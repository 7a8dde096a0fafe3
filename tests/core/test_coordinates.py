"""Tests of results with coordinates: names of entries by fields, sites and inputs."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor

import workbench
from workbench.analysis.ablation import Ablation
from workbench.checkpoints.encoding import decode, encode
from workbench.core.coordinates import Axis, Result, View, find_array, name_place
from workbench.core.notebook import LINES, WIDTH, write_fields
from workbench.core.tensor_file import unpack
from workbench.experiments.run import run_analysis

OLD = Path(__file__).parent.parent / "checkpoints" / "ablation_of_an_earlier_version.safetensors"


@dataclass(frozen=True)
class Grid(Result):
    view: ClassVar[View] = View(main="score")
    hooks: tuple[str, ...]
    sizes: Int[Tensor, " size"]
    score: Float[Tensor, "hook size *place"]


def grid(*shape: int) -> Grid:
    return Grid(("a", "b"), torch.tensor([10, 20, 30]), torch.zeros(2, 3, *shape))


def test_a_field_named_for_an_axis_holds_its_entries() -> None:
    axes = find_array(grid(4, 5), "score").axes
    assert [axis.name for axis in axes] == ["hook", "size", "place 0", "place 1"]
    assert [axis.label(1) for axis in axes] == ["b", "size 20", "place 0 1", "place 1 1"]
    assert name_place(axes, (1, 0, 2, 3)) == "b[size=10,place 0=2,place 1=3]"


def test_units_are_sites_inside_an_index_that_the_hook_has() -> None:
    ablation = Ablation("h[pos=3]", "unit", "zero", torch.zeros(1), torch.zeros(2, 1))
    unit, example = find_array(ablation, "effect").axes
    assert unit.site(1) == "h[unit=1,pos=3]" and unit.label(1) == "unit 1" and example.name == "example"


def test_an_array_is_averaged_over_its_examples_alone() -> None:
    effect = find_array(Ablation("h", "unit", "zero", torch.zeros(1), torch.tensor([[1.0, 3.0], [5.0, 6.0]])), "effect")
    mean = effect.average()
    assert [axis.name for axis in mean.axes] == ["unit"] and mean.tensor.tolist() == [2.0, 5.5]
    assert mean.average() is mean


def test_a_field_of_another_axis_is_not_mistaken_for_entries() -> None:
    @dataclass(frozen=True)
    class Steps(Result):
        action: Int[Tensor, " step"]
        logits: Float[Tensor, "step action"]

    steps = Steps(torch.tensor([7, 8]), torch.zeros(2, 2))
    assert [axis.label(0) for axis in find_array(steps, "logits").axes] == ["step 0", "action 0"]


def test_texts_of_the_inputs_follow_the_number() -> None:
    axis = Axis("pos", range(2), texts=("the", ""))
    assert [axis.label(i) for i in range(2)] == ["pos 0 the", "pos 1"]


@pytest.mark.parametrize("shape", [(), (4,), (4, 5)])
def test_the_text_of_a_result_has_at_most_five_lines(shape: tuple[int, ...]) -> None:
    lines = repr(grid(*shape)).splitlines()
    assert len(lines) <= LINES and max(map(len, lines)) <= WIDTH
    assert lines[0].startswith("Grid(hooks=('a', 'b'), sizes=int64[size 3], score=float32[hook 2, size 3")
    long = Grid(tuple(f"{'very' * 20}{i}" for i in range(9)), torch.zeros(3), torch.zeros(9, 3))
    assert len(repr(long).splitlines()) <= LINES and max(map(len, repr(long).splitlines())) <= WIDTH
    many = make_dataclass("Many", [f"field_{i}" for i in range(30)])(*["text" * 10] * 30)
    assert len(write_fields(many).splitlines()) == 5


def test_a_result_that_an_earlier_version_stored_is_read() -> None:
    tensors, about = unpack(OLD.read_bytes(), "file")
    assert "labels" not in about["values"]
    result = decode(Ablation, tensors, about["values"])
    assert result.effect.tolist() == [[1.0, 1.5], [-4.0, -5.0]] and result.labels == {}
    assert len(workbench.table(result)) == 4


def test_a_run_names_examples_and_the_tokens_that_they_share_and_they_are_stored() -> None:
    result = run_analysis("activations", "induction_gpt", hook="blocks.0.hook_resid_pre", inputs="test:0:2")
    tokens = result.labels["pos"]
    assert tokens[0] == "^" and "" in tokens and len(result.labels["batch"]) == 2
    tensors, values = encode(result)
    assert decode(type(result), tensors, values).labels == result.labels
    rows = workbench.table(result)
    assert set(rows[rows["pos"] == 0]["pos token"]) == {"^"} and rows["input"].nunique() == 2
