"""Small results of several kinds, made without a model, for the tests of figures."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.ablation import Ablation
from workbench.analysis.circuits.circuit import Circuit
from workbench.analysis.generative.traversal import Traversal
from workbench.analysis.patching import Patching
from workbench.core.wiring import Group, Wiring
from workbench.training.curve import Curve


@dataclass(frozen=True)
class Unheard:
    """A kind of result that has no figure of its own."""

    hook: str
    score: Float[Tensor, "head *place"]
    batch_score: Float[Tensor, " head"]


def ablation(n: int = 3) -> Ablation:
    effect = torch.tensor([[1.0, 1.0, 1.1], [-4.0, -5.0, -6.0], [2.0, -2.0, 0.0]])[:, :n]
    return Ablation("blocks.0.hook_post", "unit", "zero", torch.tensor([3.0, 4.0, 5.0])[:n], effect)


def patching(layers: int = 2, direction: str = "denoise") -> Patching:
    effect = torch.linspace(-0.5, 0.9, layers * 2 * 4).reshape(layers, 2, 4)
    hooks = tuple(f"blocks.{i}.attn.hook_z" for i in range(layers))
    patched = effect[..., None] * torch.ones(3)
    return Patching(hooks, ("head", "pos"), direction, effect, patched, torch.ones(3), torch.zeros(3))


def circuit() -> Circuit:
    wiring = Wiring(
        nodes={"hook_input": Group("feature", 2), "blocks.0.hook_post": Group("unit", 3, ("blocks.0.hook_pre",))},
        ports={"blocks.0.hook_pre": Group("unit", 3), "readout.hook_logits": Group("class", 2)},
        wires={
            "hook_input -> blocks.0.hook_pre": ("hook_input", "blocks.0.hook_pre"),
            "blocks.0.hook_post -> readout.hook_logits": ("blocks.0.hook_post", "readout.hook_logits"),
        },
    )
    scores = [torch.tensor([[-3.0, 0.0, 0.5], [0.0, -1.0, 0.0]]), torch.tensor([[-2.0, 0.0], [-1.5, 0.0], [0.0, 0.1]])]
    return Circuit(
        wiring, dict(zip(wiring.wires, scores, strict=True)), "exact", "resample", "logit", "usual",
        sizes=torch.tensor([1, 3, 12]), faithfulness=torch.tensor([0.0, 0.95, 1.0]),
        faithfulness_interval=torch.tensor([[0.0, 0.9, 1.0], [0.0, 0.98, 1.0]]),
        random_faithfulness=torch.tensor([[0.0, 0.1, 1.0], [0.0, 0.3, 1.0]]), cmd=0.1, cmd_interval=(0.05, 0.2),
        cpr=0.9, random_cmd=0.6, random_cmd_interval=(0.4, 0.7),
        clean=torch.ones(2), corrupted=torch.zeros(2), n=2, seed=0,
    )  # fmt: skip


def curve() -> Curve:
    series = {"train_loss": [2.0, None, 1.0], "test_loss": [2.5, None, 1.5], "test_accuracy": [0.1, None, 0.9]}
    return Curve([0, 50, 100], series)


def unheard() -> Unheard:
    return Unheard("hook", torch.tensor([[0.0, 3.0], [-1.0, 2.0]]), torch.tensor([1.0, 2.0]))


def traversal(shape: tuple[int, ...] = (1, 4, 6)) -> Traversal:
    axes = ("channel", "height", "width") if len(shape) == 3 else ("class",)
    response = torch.linspace(0, 1, 2 * 3)[:, None].expand(6, torch.Size(shape).numel()).reshape(2, 3, *shape)
    distance = torch.tensor([[2.0, 0.0, 3.0], [0.1, 0.0, 0.1]])
    value = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0]])
    return Traversal("hook_latent", "latent", (4, 7), torch.tensor([-3.0, 0.0, 3.0]), value, "hook_image", axes,
                     response, distance)  # fmt: skip


RESULTS = (ablation(), patching(), patching(1, "noise"), circuit(), curve(), unheard(), traversal(), traversal((5,)))
