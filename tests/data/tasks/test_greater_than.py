"""Tests of the greater-than task: years, splits, counterparts and its metric."""

import torch
from torch.testing import assert_close

from workbench.core.metrics import METRICS, ProbabilityDifference, Question
from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.tasks.greater_than import CORRUPTED, START, mark_later_years


def test_years_end_later_in_the_same_century_and_test_years_are_new() -> None:
    data = DATASETS["greater_than"]()
    for inputs, targets in ((data.train_inputs, data.train_targets), (data.test_inputs, data.test_targets)):
        assert data.right(inputs).gather(1, targets[:, -1:]).all()
        assert torch.equal(inputs[:, START - 1], inputs[:, -1])
    years = [{tuple(row) for row in x[:, [START - 1, START]].tolist()} for x in (data.train_inputs, data.test_inputs)]
    assert years[0] and years[1] and not years[0] & years[1]


def test_every_later_year_is_as_frequent_as_another() -> None:
    data = DATASETS["greater_than"]()
    last = data.train_targets[data.train_inputs[:, START] == 89, -1]
    shares = torch.bincount(last, minlength=100)[90:100] / len(last)
    assert_close(shares.double(), torch.full((10,), 0.1).double(), atol=0.04, rtol=0)


def test_the_counterpart_starts_in_the_first_year_and_differs_nowhere_else() -> None:
    data = DATASETS["greater_than"]()
    rows = data.test_inputs[:5]
    other = data.counterpart(rows, generator(0, "test"))
    assert (other[:, START] == CORRUPTED).all()
    assert ((other != rows).sum(dim=1) == 1).all()


def test_the_probability_difference_is_of_all_right_choices() -> None:
    rows = torch.zeros(1, 13, dtype=torch.long)
    rows[0, START] = 60
    logits = torch.zeros(1, 139)
    right = mark_later_years(rows)
    assert int(right.sum()) == 39
    assert_close(ProbabilityDifference(right)(logits), torch.tensor([2 * 39 / 139 - 1]))
    alone = METRICS["probability_difference"](Question(logits, targets=torch.tensor([7])))(logits)
    assert_close(alone, torch.tensor([2 / 139 - 1]))
