"""Objects about which no question can be asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import workbench
from tests.experiments.own_networks import Net, X, ask
from tests.experiments.tiny_models import calls
from workbench.core.errors import InputError
from workbench.experiments.run import catalog


@pytest.fixture(autouse=True)
def here(workspace: Path) -> Path:
    return workspace


def logit(output: Tensor) -> Tensor:
    return output[:, 0]


def fails(output: Tensor) -> Tensor:
    raise KeyError("logits")


class Failing(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"metric": lambda y: y[:, 0]}, "is a lambda"),
        ({"metric": logit}, "name of a metric of the workbench"),
        ({"metric": 3}, "neither a name nor a function"),
        ({"metric": torch.mean}, "torch.float32 of shape \\(\\) for 5 examples"),
        ({"inputs": ["a", "b"]}, "is a str, which has no stored form"),
        ({"inputs": {"x": X, "training": False}}, "'training' is a bool"),
        ({"inputs": X * float("nan")}, "holds nan at index"),
        ({"inputs": torch.zeros(5, 4).to_sparse()}, "sparse"),
        ({"inputs": (X, X)}, "holds the arrays \\['0', '1'\\], and this network takes \\['inputs'\\]"),
        ({"inputs": torch.zeros(5, 3)}, "It takes float32 \\['batch', 4\\], .* was given float32 \\['batch', 3\\]"),
        ({"inputs": torch.zeros(5, 4, dtype=torch.bool)}, "was given bool"),
        ({"inputs": torch.zeros(0, 4)}, "holds no rows"),
        ({"model": "digits", "inputs": torch.zeros(5, 3)}, "cannot take these inputs"),
        ({"metric": fails}, "'fails' fails on the network's output \\(KeyError"),
        ({"model": Failing()}, "Failing cannot run on the example|Failing cannot be opened"),
        ({"model": 3}, "is no network"),
        ({"model": Net(), "inputs": "test:0:4"}, "needs an example"),
        ({"model": Net().to("meta")}, "meta device"),
    ],
)
def test_a_refusal_is_one_sentence_that_names_the_value(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        ask(**{"model": workbench.wrap(Net(), X)} | arguments)
    assert not calls


def test_a_network_that_is_being_edited_is_refused() -> None:
    for model, inputs in ((workbench.wrap(Net(), X), X), (workbench.load("digits"), "test:0:4")):
        hook = next(iter(model.hook_dict))
        with pytest.raises(InputError, match="while it is edited"), model.edited([workbench.interventions.zero(hook)]):
            ask(model, inputs)
    assert not calls


def test_the_name_of_an_object_alone_says_what_to_do() -> None:
    ask(workbench.wrap(Net(), X))
    name = catalog()["model"][0]
    assert name.startswith("object:Net-")
    with pytest.raises(InputError, match="workbench add NAME"):
        ask(name)
