"""Composition scores: strength of the connection from one head's output to another's input, by weights alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.circuits.head_weights import HeadWeights, copying_score, head_weights
from workbench.core.coordinates import Axis, Result, View
from workbench.core.fitting import needs_axes
from workbench.core.hooked import HookedModel
from workbench.core.registry import ANALYSES


@dataclass(frozen=True)
class Composition(Result):
    """Composition scores of all pairs of heads, 0 to 1, by the part of the reading head that does the reading.

    `heads` are sites, in firing order. A score is |W_a W_b| / (|W_a| |W_b|) in the Frobenius norm, W_a the writer's OV
    circuit and W_b the reader's QK (Q and K) or OV (V) circuit; NaN where the reader does not read the writer.
    `chance` is its root mean square for heads that are turned at random. `copying` is each head's copying score, -1 to
    1 (NaN for a head that does not write to the output): the sum of the eigenvalues of its full OV circuit over the
    sum of their absolute values.
    """

    view: ClassVar[View] = View(
        main="score", sort=True,
        title="Composition of {heads:n} heads by their weights; by chance {chance}",
        sentence="Of {heads:n} heads, {score:writer} composes most with the {score:part} of {score:reader}: "
        "{score:max} (chance {chance}).",
        empty="None of {heads:n} heads reads another one, so no heads compose.",
    )  # fmt: skip

    heads: tuple[str, ...]
    parts: tuple[str, ...]
    score: Float[Tensor, "part writer reader"]
    chance: float
    copying: Float[Tensor, " writer"]

    def coordinates(self) -> Mapping[str, Axis]:
        """Name writers and readers by their sites."""
        return {"writer": Axis("writer", self.heads), "reader": Axis("reader", self.heads)}


@ANALYSES.register("composition")
@needs_axes("head")
@torch.no_grad()
def composition(model: HookedModel) -> Composition:
    """Measure Q-, K- and V-composition of all pairs of heads from their weights.

    The gain and centring of the norms are included; their scale cancels.

    Args:
        model: A model with attention heads.

    Returns:
        A `Composition`: scores from 0 to 1 by part of the reading head, the chance level, and copying scores.

    Raises:
        InputError: If the model has no attention heads.

    Cost: no forward pass; products of matrices as wide as a head for each pair.

    References: Elhage et al. 2021.

    Example:
        >>> found = workbench.run("composition", model="induction_gpt")
        >>> len(found.heads)
        8
    """
    graph = model.graph()
    layers = head_weights(graph)
    sizes = [len(layer.out) for layer in layers]
    score = layers[0].out.new_full((3, sum(sizes), sum(sizes)), torch.nan)
    for a, writer in enumerate(layers):
        for b, reader in enumerate(layers):
            rows, columns = (slice(sum(sizes[:i]), sum(sizes[: i + 1])) for i in (a, b))
            for part, port in enumerate(reader.reads):
                if f"{writer.hook} -> {port}" in graph.wires:
                    score[part, rows, columns] = compose_layers(writer, reader, "qkv"[part])
    heads = tuple(f"{layer.hook}[head={i}]" for layer, n in zip(layers, sizes, strict=True) for i in range(n))
    copying = torch.cat([copying_score(graph, layer) for layer in layers])
    return Composition(heads, ("Q", "K", "V"), score, layers[0].out.shape[-1] ** -0.5, copying)


def compose_layers(writer: HeadWeights, reader: HeadWeights, part: str) -> Float[Tensor, "writer reader"]:
    """Compute |W_a W_b| / (|W_a| |W_b|) for every pair of heads of two layers."""
    into, on = {
        "q": (reader.query, reader.key.mT),
        "k": (reader.key, reader.query.mT),
        "v": (reader.value, reader.out),
    }[part]
    between = einsum(writer.out, into, "a d m, b m e -> a b d e")
    joint = product_norm(writer.value[:, None], between, on[None])
    return joint / (product_norm(writer.value, None, writer.out)[:, None] * product_norm(into, None, on))


def product_norm(
    left: Float[Tensor, "*#any m d"], middle: Float[Tensor, "*#any d e"] | None, right: Float[Tensor, "*#any e n"]
) -> Float[Tensor, "*_any"]:
    """Compute the Frobenius norm of left @ middle @ right without forming the product."""
    first, last = torch.linalg.qr(left, mode="r").R, torch.linalg.qr(right.mT, mode="r").R
    return torch.linalg.matrix_norm((first if middle is None else first @ middle) @ last.mT)
