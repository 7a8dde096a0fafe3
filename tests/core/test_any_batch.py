"""Tests of tapes for any number of rows against recordings with that number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from workbench.core.any_batch import BatchedTape, generalize
from workbench.core.errors import InputError
from workbench.core.replay import replay
from workbench.core.tape import Tape, record

Function = Callable[[Tensor], Tensor]
ROWWISE: dict[str, Function] = {
    "relu": lambda x: x.relu(),
    "merged": lambda x: x.flatten(0, 1).relu(),
    "merged and apart": lambda x: x.reshape(len(x) * 4, 6).relu().reshape(len(x), 4, 6) + 1,
    "rows behind": lambda x: x.movedim(0, -1).relu() * 2,
    "rows between": lambda x: x.transpose(0, 1).relu(),
    "rows merged behind": lambda x: x.permute(1, 0, 2).reshape(4, -1).relu(),
    "zeros of each row": lambda x: torch.zeros(len(x), 1, 6) + x,
    "numbers of each row": lambda x: x + torch.arange(6.0).expand(len(x), 4, 6).clone(),
    "constants alone": lambda x: x * torch.arange(6.0),
    "as many times": lambda x: x * (3 * len(x)),
    "as many entries as rows": lambda x: x.expand(len(x), 4, 6).repeat(1, 2, 1),
}
REFUSED: dict[str, tuple[Function, str]] = {
    "one more than rows": (lambda x: torch.cat([x, x[:1]]), "no axis has the rows"),
    "a size of one more than rows": (lambda x: x[:1].expand(len(x) + 1, 4, 6).relu(), "not in proportion"),
    "rows squared": (lambda x: x[:, 0, 0, None] * x[:, 0, 0], "no axis has the rows"),
    "other numbers for each row": (lambda x: x + torch.arange(len(x))[:, None, None], "differs between 2 and 3 rows"),
    "an index": (lambda x: x[len(x) - 2 :], "not in proportion|no axis"),
    "other work": (lambda x: x.relu() if len(x) > 2 else x.tanh(), "runs other operations for 3 rows than for 2"),
    "more work": (lambda x: x.relu().tanh() if len(x) > 2 else x.relu(), "runs other operations for 3 rows than for 2"),
}


class Module(nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def recorded(function: Function, rows: int) -> Tape:
    module: Any = Module(function)
    return record(module, module, example(rows))


def example(rows: int) -> Tensor:
    return torch.rand(rows, 4, 6, generator=torch.Generator().manual_seed(0)) - 0.5


def batched(function: Function) -> BatchedTape:
    return generalize(recorded(function, 2), 2, recorded(function, 3), 3)


@pytest.mark.parametrize("name", ROWWISE)
def test_a_tape_for_other_rows_is_a_recording_of_them(name: str) -> None:
    tape = batched(ROWWISE[name])
    for rows in (1, 2, 4, 5):
        x, at = example(rows), tape.at(rows)
        (out,) = at.outputs
        assert_close(replay(at, [x])[out], ROWWISE[name](x))
        assert rows == 1 or at.shapes == recorded(ROWWISE[name], rows).shapes


@pytest.mark.parametrize("name", ROWWISE)
def test_rows_come_first_and_go_back(name: str) -> None:
    tape, rows = batched(ROWWISE[name]), 5
    x, other = example(rows), example(rows)
    other[2] += 1
    one, two = (replay(tape.at(rows), [inputs]) for inputs in (x, other))
    for ref in tape.batch_axis.keys() & tape.pattern.shapes.keys():
        first = tape.rows_first(ref, one[ref])
        assert first.shape == tape.shown_shape(ref, rows)
        assert (
            torch.equal(tape.merge_rows(ref, first), one[ref]) and tape.merge_rows(ref, first).shape == one[ref].shape
        )
        changed = (first != tape.rows_first(ref, two[ref])).flatten(1).any(dim=1).nonzero().flatten().tolist()
        assert changed in ([2], [])
        for axis in range(one[ref].ndim):
            if axis != tape.batch_axis[ref]:
                assert first.shape[tape.shown_axis(ref, axis)] == one[ref].shape[axis]


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_grow_in_proportion_is_refused(name: str) -> None:
    function, says = REFUSED[name]
    with pytest.raises(InputError, match=says):
        batched(function)
