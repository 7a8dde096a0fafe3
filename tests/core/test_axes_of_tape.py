"""Tests of axis names through every operation, with a different length for each axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.core.any_batch import generalize
from workbench.core.axes_of_tape import name_axes
from workbench.core.axis_names import AxisTracker, Factor, names_of
from workbench.core.axis_rules import FollowAxes
from workbench.core.tape import record

KERNEL, W = torch.rand(4, 3, 1, 1), torch.rand(7, 5)
LENGTHS = {4: "channel", 6: "height", 7: "width"}
Function = Callable[[Tensor], Tensor]

MOVED: dict[str, Function] = {
    "permuted": lambda x: x.permute(0, 2, 3, 1),
    "transposed": lambda x: x.transpose(1, 3),
    "transposed from the end": lambda x: x.mT,
    "with an axis of one": lambda x: x.unsqueeze(2),
    "with an axis of one at the end": lambda x: x.unsqueeze(-1),
    "with an axis of one before the last": lambda x: x.unsqueeze(-2),
    "one entry": lambda x: x[:, 1],
    "one entry from the end": lambda x: x.select(-2, 0),
    "each entry in turn": lambda x: x.unbind(2)[1],
    "one axis of one dropped": lambda x: x.unsqueeze(2).unsqueeze(4).squeeze(2),
    "all axes of one dropped": lambda x: x.unsqueeze(2).unsqueeze(4).squeeze(),
    "mean over one axis": lambda x: x.mean(1),
    "mean over two axes": lambda x: x.mean((1, 3)),
    "sum from the end": lambda x: x.sum(-1),
    "largest": lambda x: x.amax(1),
    "split again": lambda x: x.flatten(2).unflatten(2, (6, 7)),
    "split again around an axis of one": lambda x: x.unsqueeze(2).flatten(2).unflatten(2, (6, 7)),
    "with an axis of one by a view": lambda x: x.unflatten(2, (6, 1)),
    "split in two": lambda x: x.unflatten(1, (2, 2)),
    "repeated along a new axis": lambda x: x.unsqueeze(1).expand(-1, 5, -1, -1, -1),
    "scaled by its mean": lambda x: x * x.mean(1, keepdim=True),
    "scaled by a row": lambda x: x * W[:, 0],
    "chosen": lambda x: torch.where(x > 0, x, 0.0),
    "stacked": lambda x: torch.stack([x, x], 2),
    "softmax": lambda x: x.softmax(1),
    "normalised": lambda x: F.layer_norm(x, (7,)),
    "normalised by channel": lambda x: F.batch_norm(x, W[:4, 0], W[:4, 1]),
    "normalised in groups": lambda x: F.group_norm(x, 2),
    "product of matrices": lambda x: x.mean(1) @ x.mean(1).mT @ x.mean(1),
    "scores": lambda x: x.mean(1).mT @ x.mean(1) @ x.mean(2).mT,
}
"""Functions of maps (batch, channel, height, width), after which every axis is known by its length."""
RESIZED: dict[str, tuple[Function, str]] = {
    "joined": (lambda x: torch.cat([x, x], 1), "batch channel height width"),
    "joined from the end": (lambda x: torch.cat([x, x], -1), "batch channel height width"),
    "pooled": (lambda x: F.avg_pool2d(x, 2), "batch channel height width"),
    "pooled by the largest": (lambda x: F.max_pool2d(x, 2), "batch channel height width"),
    "enlarged": (lambda x: F.interpolate(x, scale_factor=2), "batch channel height width"),
    "convolved": (lambda x: F.conv2d(x, torch.ones(8, 4, 2, 2)), "batch channel height width"),
    "convolved along one axis": (lambda x: F.conv1d(x.mean(3), torch.ones(8, 4, 2)), "batch channel height"),
    "columns of weights": (lambda x: x @ W, "batch channel height unit"),
}
"""Functions that change lengths, and the names after them."""


def expected(shape: tuple[int, ...]) -> str:
    return " ".join(["batch", *(LENGTHS.get(n, f"axis{i}") for i, n in enumerate(shape[1:], 1))])


def on_tape(function: Callable[..., Tensor], *example: Tensor) -> str:
    """The names of the axes of what a function returns, by its tapes of two and three rows."""

    class Module(nn.Module):
        def forward(self, *inputs: Tensor) -> Tensor:
            return function(*inputs)

    def run(inputs: Any) -> Tensor:
        return module(*inputs)

    module = Module()
    one, other = (record(module, run, tuple(x[:rows] for x in example)) for rows in (2, 3))
    return " ".join(name_axes(generalize(one, 2, other, 3))[one.outputs[0]])


def followed(
    function: Function, shape: tuple[int, ...] = (2, 4, 6, 7), kinds: str = "batch channel height width"
) -> str:
    """The names of the axes of what a function returns, followed along one run."""
    tracker, x = AxisTracker(), torch.rand(shape)
    known = [None if kind == "unknown" else kind for kind in kinds.split()]
    tracker.set(x, tuple((Factor(n, kind),) for n, kind in zip(shape, known, strict=True)))
    with FollowAxes(tracker):
        y = function(x)
    return names_of(tracker.of(y), 0)


def by_rows_of_weights(x: Tensor) -> Tensor:
    return torch.bmm(W[:5, :4].expand(len(x), 5, 4), x.mean(2))


def maps(rows: int = 3) -> Tensor:
    return torch.rand(rows, 3, 6, 7)


@pytest.mark.parametrize("name", MOVED)
def test_an_axis_is_known_by_its_length_on_a_tape(name: str) -> None:
    y = MOVED[name](torch.rand(3, 4, 6, 7))
    assert on_tape(lambda x: MOVED[name](F.conv2d(x, KERNEL)), maps()) == expected(tuple(y.shape))


@pytest.mark.parametrize("name", MOVED)
def test_an_axis_is_known_by_its_length_along_a_run(name: str) -> None:
    assert followed(MOVED[name]) == expected(tuple(MOVED[name](torch.rand(2, 4, 6, 7)).shape))


@pytest.mark.parametrize("name", RESIZED)
def test_an_axis_of_another_length_keeps_its_name(name: str) -> None:
    function, names = RESIZED[name]
    assert on_tape(lambda x: function(F.conv2d(x, KERNEL)), maps()) == names
    assert followed(function) == names


def test_an_axis_of_one_that_a_mean_leaves_has_no_name_of_its_own_length() -> None:
    assert on_tape(lambda x: F.conv2d(x, KERNEL).mean(2, keepdim=True), maps()) == "batch channel axis2 width"
    assert followed(lambda x: x.mean(2, keepdim=True)) == "batch channel height width"


def test_weights_on_the_left_make_units_of_rows() -> None:
    assert on_tape(lambda x: by_rows_of_weights(F.conv2d(x, KERNEL)), maps()) == "batch axis1 width"
    assert followed(by_rows_of_weights) == "batch unit width"


def test_weights_for_each_example_make_units_of_columns() -> None:
    assert followed(lambda x: torch.bmm(x.mean(1), W.expand(len(x), 7, 5))) == "batch height unit"


def test_an_axis_in_two_places_is_numbered_in_both() -> None:
    assert on_tape(lambda x: (y := F.conv2d(x, KERNEL)) @ y.mT, maps()) == "batch channel axis2 axis3"
    assert on_tape(lambda x: (y := F.conv2d(x, KERNEL)).flatten(2) @ y.flatten(2).mT, maps()) == "batch axis1 axis2"


def test_the_operation_that_reads_an_input_first_names_it() -> None:
    x, maps_of_one = torch.rand(3, 6), torch.rand(3, 4, 6)
    tokens, table, kernel = torch.randint(9, (3, 6)), torch.rand(9, 5), torch.rand(4, 4, 1)
    assert on_tape(lambda x: x.relu() @ W[:6], x) == "batch unit"
    assert on_tape(lambda x: x @ W[:6, :2], x) == "batch unit"
    assert on_tape(lambda tokens: F.embedding(tokens, table), tokens) == "batch pos d_model"
    assert on_tape(lambda tokens: F.embedding(tokens[:, 0], table), tokens) == "batch d_model"
    assert on_tape(lambda t: F.embedding(t, table).relu(), tokens[None].expand(3, 3, 6)) == "batch axis1 axis2 d_model"
    assert on_tape(lambda x: F.conv1d(x, kernel), maps_of_one) == "batch channel pos"
    assert on_tape(lambda x: x.relu() + 1, maps_of_one) == "batch axis1 axis2"


def test_an_input_that_nothing_reads_has_no_names() -> None:
    assert on_tape(lambda x, unused: x @ W[:6], torch.rand(3, 6), torch.rand(3, 6)) == "batch unit"
    assert on_tape(lambda x, unused: x @ W[:6], torch.rand(3, 6), torch.rand(3)) == "batch unit"


def test_rows_merged_with_another_axis_are_shown_first_and_the_other_behind() -> None:
    def flat(x: Tensor) -> Tensor:
        return F.conv2d(x, KERNEL).flatten(0, 1)

    assert on_tape(lambda x: flat(x).relu(), maps()) == "batch channel height width"
    assert on_tape(lambda x: F.conv2d(x, KERNEL).transpose(0, 1) + 0, maps()) == "batch channel height width"
    assert on_tape(lambda x: F.conv2d(x, KERNEL).mean((2, 3)).t() + 0, maps()) == "batch channel"


def test_channels_beside_features_are_features() -> None:
    def joined(x: Tensor) -> Tensor:
        return torch.cat([x.mean((2, 3)), x.mean((2, 3)) @ W[:4]], 1)

    assert followed(joined) == "batch unit"
    assert followed(lambda x: torch.cat([x.mean(3), x.mean(2)[..., :6]], 1)) == "batch channel axis2"
    assert followed(lambda x: torch.cat([x.mean(3), x.mean(1).mT], 1)) == "batch axis1 height"
    assert followed(lambda x: torch.cat([x.mean(3), x.mean((1, 3))[:, None]], 1)) == "batch channel height"


def test_a_sum_of_two_single_numbers_has_no_axes() -> None:
    assert followed(lambda x: x.sum() + x.mean()) == ""


@pytest.mark.parametrize("norm", [lambda x: F.group_norm(x, 2), lambda x: F.batch_norm(x, W[:4, 0], W[:4, 1])])
def test_a_norm_by_channel_says_what_the_axes_of_maps_are(norm: Function) -> None:
    assert followed(norm, kinds="batch unknown unknown unknown") == "batch channel height width"


def test_a_convolution_says_what_the_axes_of_maps_are() -> None:
    kinds = "batch unknown unknown unknown"
    assert (
        followed(lambda x: F.conv2d(x, torch.ones(5, 4, 1, 1)) + x[:, :1], kinds=kinds) == "batch channel height width"
    )
    assert followed(lambda x: F.conv2d(x, torch.ones(5, 4, 2, 2)), kinds=kinds) == "batch channel height width"


def test_entries_are_taken_in_turn_along_the_first_axis_unless_another_is_named() -> None:
    assert followed(lambda x: x.unbind()[0]) == "batch height width"  # channels stand where the batch is shown
