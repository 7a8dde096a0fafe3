"""Parts of a tuned network put back as they were before tuning, while it works: what brings the old behaviour back?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.core.errors import UnknownNameError
from workbench.core.interventions import Intervention, patch
from workbench.core.sites import Site

Extend = Callable[[Tensor], Tensor]
Worth = Callable[[Any, Extend | None], Float[Tensor, " row"]]
"""What each row is worth that a model makes, or `extend` in its place; equal seeds, so that conditions are paired."""


@dataclass(frozen=True)
class Restoration:
    """What each row is worth (in units of `Worth`) with each part restored, beside the tuned and the original."""

    names: tuple[str, ...]
    restored: Float[Tensor, "part row"]
    tuned: Float[Tensor, " row"]
    original: Float[Tensor, " row"]

    @property
    def share(self) -> Float[Tensor, " part"]:
        """How much of the way back each part goes: 0 tuned, 1 original; beyond 1 it is better than that."""
        return (self.restored.mean(dim=1) - self.tuned.mean()) / (self.original.mean() - self.tuned.mean())


def restore_activations(
    tuned: Any, original: Any, parts: Mapping[str, Sequence[Site | str]], worth: Worth
) -> Restoration:
    """The activations of each part's sites patched, at every position, from the original run on the same tokens.

    Costs, for each part, one call of `worth` with each of both models.
    """
    rows = [worth(tuned, patch_sites(tuned, original, sites)) for sites in parts.values()]
    return make_restoration(tuple(parts), rows, tuned, original, worth)


def make_restoration(
    names: tuple[str, ...], rows: list[Float[Tensor, " row"]], tuned: Any, original: Any, worth: Worth
) -> Restoration:
    """What was measured with each part restored, beside both models as they are."""
    return Restoration(names, torch.stack(rows), worth(tuned, None), worth(original, None))


def patch_sites(tuned: Any, original: Any, sites: Sequence[Site | str]) -> Extend:
    """The tuned model, extended token by token, with the original's activations at these sites."""
    return decode_with_edits(tuned, original, [Site.of(site).resolve(tuned) for site in sites], patch)


def patch_along(tuned: Any, original: Any, hook: str, direction: Float[Tensor, " d_model"]) -> Extend:
    """The same, of one hook's activation along one direction alone."""
    unit = direction / direction.norm()

    def replaced(site: Site, activation: Tensor) -> Intervention:
        return Intervention(site, lambda part, axes: part + (activation - part) @ unit[:, None] * unit, "restore along")

    return decode_with_edits(tuned, original, [Site.of(hook).resolve(tuned)], replaced)


def decode_with_edits(
    tuned: Any, original: Any, sites: Sequence[Site], edit: Callable[[Site, Tensor], Intervention]
) -> Extend:
    """A function from tokens to the tuned model's logits, its sites edited from the original's activations there.

    Both models remember what they were given, so each token costs one position of each; the result is that of full
    passes, since the same edit was made at every earlier position.
    """
    ours, theirs = tuned.start_decoding(), original.start_decoding()

    def extend(tokens: Tensor) -> Tensor:
        kept: dict[str, Tensor] = {}
        with original.routed({site.hook: partial(remember, kept, site.hook) for site in sites}):
            theirs(tokens)
        with tuned.edited([edit(site, kept[site.hook]) for site in sites]):
            return ours(tokens)

    return extend


def remember(kept: dict[str, Tensor], name: str, activation: Tensor) -> Tensor:
    """Keeps an activation and passes it on."""
    kept[name] = activation
    return activation


def restore_weights(tuned: Any, original: Any, parts: Mapping[str, str], worth: Worth) -> Restoration:
    """The weights whose names start with each part's prefix as they were before tuning; the rest stays tuned.

    Costs one call of `worth` for each part.
    """
    rows = []
    for prefix in parts.values():
        with original_weights(tuned, original, prefix):
            rows.append(worth(tuned, None))
    return make_restoration(tuple(parts), rows, tuned, original, worth)


@contextmanager
def original_weights(tuned: Any, original: Any, prefix: str) -> Iterator[None]:
    """The tuned model with the original's weights under a prefix, until the context ends."""
    before, own = original.state_dict(), {name: value.clone() for name, value in tuned.state_dict().items()}
    chosen = {name: value for name, value in before.items() if name.startswith(prefix)}
    if not chosen:
        raise UnknownNameError("weight", prefix, own, where=f" in {type(tuned).__name__}")
    try:
        tuned.load_state_dict(own | chosen)
        yield
    finally:
        tuned.load_state_dict(own)
