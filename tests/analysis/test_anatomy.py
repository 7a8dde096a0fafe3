"""Tests of the anatomy: every hook once, in the order in which it fires."""

from __future__ import annotations

import torch

from workbench.analysis.anatomy import list_hooks
from workbench.core.registry import MODELS, config_type
from workbench.core.tape_model import record_module


def test_every_hook_of_every_architecture_is_listed_once_with_its_axes() -> None:
    for name in MODELS:
        model = MODELS[name](config_type(MODELS[name])()).eval()
        result = list_hooks(model)
        assert sorted(result.hook) == sorted(model.hook_dict)
        assert list(result.stage) == sorted(result.stage)
        for hook, axes, size in zip(result.hook, result.axes, result.size, strict=True):
            assert axes == model.hook_dict[hook].axes
            assert len(size) == len(axes) - 1


def test_stages_go_by_the_names_they_have_in_the_code() -> None:
    model = MODELS["mlp"](config_type(MODELS["mlp"])())
    assert list_hooks(model).stages == ("AxisHookPoint", "DenseBlock", "ReadOut")
    assert list_hooks(model).parameters == sum(p.numel() for p in model.parameters())


def test_the_stages_of_a_recorded_network_are_its_operations() -> None:
    model = record_module(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU()), torch.randn(2, 4))
    assert set(list_hooks(model).stages) == {"recorded operations"}
