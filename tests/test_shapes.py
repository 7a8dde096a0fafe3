"""Tests that `--shapes` detects a tensor whose shape contradicts its annotation."""

from __future__ import annotations

import pytest
import torch

pytestmark = pytest.mark.shapes


def test_a_tensor_of_another_rank_or_length_is_refused(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--shapes"):
        pytest.skip("annotations are not checked in this run; give --shapes")
    from jaxtyping import TypeCheckError

    from workbench.core.metrics import runner_up

    logits = torch.eye(3)
    assert runner_up(logits, torch.tensor([0, 1, 2])).shape == (3,)
    for wrong in (torch.tensor([[0, 1, 2]]), torch.tensor([0, 1]), torch.tensor([0.0, 1.0, 2.0])):
        with pytest.raises(TypeCheckError):
            runner_up(logits, wrong)
