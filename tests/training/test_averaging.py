"""Tests of the exponential moving average of weights."""

import torch
from torch import nn

from workbench.training.averaging import WeightAverage


def test_the_average_follows_its_recursion() -> None:
    model = nn.Linear(1, 1, bias=False)
    average, expected = WeightAverage(model, 0.5), model.weight.item()
    for n in range(20):
        model.weight.data.fill_(float(n))
        average.update(n)
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * n
    assert torch.allclose(average.tensors["weight"], torch.tensor(expected))


def test_applying_the_average_and_leaving_restores_every_bit() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    average = WeightAverage(model, 0.9)
    model[0].weight.data.add_(0.1)
    average.update(0)
    live = {n: t.clone() for n, t in model.state_dict().items()}
    with average.use_averages():
        # One update from the weights before: 0.1 of the old ones and 0.9 of those that are larger by 0.1.
        torch.testing.assert_close(model[0].weight.detach(), live["0.weight"] - 0.01)
    assert all(torch.equal(t, live[n]) for n, t in model.state_dict().items())


def test_the_average_follows_kernels_that_are_laid_out_anew() -> None:
    torch.manual_seed(0)
    model = nn.Conv2d(2, 2, 3, bias=False)
    average, before = WeightAverage(model, 0.9), model.weight.detach().clone()
    model.weight.data = (model.weight.data + 1).contiguous(memory_format=torch.channels_last)
    average.update(0)
    average.copy_to_model()
    torch.testing.assert_close(model.weight.detach(), before + 0.9)


def test_tied_weights_are_averaged_once() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    assert list(WeightAverage(model, 0.9).tensors) == ["0.weight"]
