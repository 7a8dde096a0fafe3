import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from workbench.core.errors import ConfigError
from workbench.training.fit import FitConfig, fit
from workbench.training.parallel import fit_in_parallel, share
from workbench.zoo.mlp import MLPClassifier, MLPConfig


def batches(rows: int) -> Callable[[int], tuple[Tensor, Tensor]]:
    def batch(step: int) -> tuple[Tensor, Tensor]:
        draw = torch.Generator().manual_seed(step)
        return torch.rand(rows, 6, generator=draw), torch.randint(3, (rows,), generator=draw)

    return batch


def test_two_processes_learn_what_one_learns_from_the_whole_batch() -> None:
    torch.manual_seed(0)
    one = MLPClassifier(MLPConfig(n_features=6, hidden=(8,), n_classes=3))
    two = copy.deepcopy(one)
    cfg = FitConfig(steps=30, lr=0.01, weight_decay=0.1, gradient_clip=0.5, ema=0.9, log_every=5)
    alone = fit(one, batches(8), cross_entropy, cfg)
    together = fit_in_parallel(two, batches(8), cross_entropy, cfg, processes=2)
    assert together.step == alone.step
    for name in ("train_loss", "gradient_norm"):
        assert together.series[name] == pytest.approx(alone.series[name], rel=1e-5)
    assert_close(two.state_dict(), one.state_dict(), rtol=1e-4, atol=1e-6)
    assert alone.last("train_loss") < alone.points("train_loss")[0][1]


def test_parts_of_a_batch_put_together_are_the_batch() -> None:
    whole = batches(12)(3)
    parts = [share(batches(12), place, 3)(3) for place in range(3)]
    assert all(torch.equal(torch.cat(some), x) for some, x in zip(zip(*parts, strict=True), whole, strict=True))


def test_a_batch_that_does_not_part_equally_is_refused() -> None:
    model = MLPClassifier(MLPConfig(n_features=6, hidden=(), n_classes=3))
    with pytest.raises(ConfigError, match="7 examples do not part equally among 2"):
        fit_in_parallel(model, batches(7), cross_entropy, FitConfig(steps=1))
