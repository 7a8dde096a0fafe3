"""Quality of generated samples: distance to the data, coverage of classes, and copies of training data."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.core.errors import InputError


def frechet_distance(one: Float[Tensor, "row feature"], other: Float[Tensor, "other_row feature"]) -> Float[Tensor, ""]:
    """Compute the squared Frechet distance between normal distributions fitted to two sets of features.

    |m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2)) (Heusel et al. 2017). It is biased upwards for few rows, so compare
    only distances with equal numbers of rows.
    """
    if min(len(one), len(other)) < 2:
        raise InputError("A Frechet distance needs at least two rows on each side, better several thousand.")
    (mean1, cov1), (mean2, cov2) = (moments(x.double()) for x in (one, other))
    root = square_root(cov1)
    cross = torch.linalg.eigvalsh(root @ cov2 @ root).clamp(min=0).sqrt().sum()
    return (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * cross


def moments(x: Float[Tensor, "row feature"]) -> tuple[Float[Tensor, " feature"], Float[Tensor, "feature feature"]]:
    """Compute the mean and the unbiased covariance."""
    mean = x.mean(dim=0)
    return mean, (x - mean).T @ (x - mean) / (len(x) - 1)


def square_root(matrix: Float[Tensor, "feature feature"]) -> Float[Tensor, "feature feature"]:
    """Compute the symmetric square root of a positive semidefinite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


def class_shares(classes: Int[Tensor, " row"], n_classes: int) -> Float[Tensor, " class"]:
    """Compute the share of each class."""
    return torch.bincount(classes, minlength=n_classes) / len(classes)


def classes_covered(classes: Int[Tensor, " row"], n_classes: int, share: float = 0.1) -> int:
    """Count the classes that have at least `share` of their part under a uniform distribution."""
    return int((class_shares(classes, n_classes) >= share / n_classes).sum())


def nearest_distance(
    rows: Float[Tensor, "row *shape"], among: Float[Tensor, "other_row *shape"], chunk: int = 250
) -> Float[Tensor, " row"]:
    """Compute the Euclidean distance from each row to the nearest of the others, `chunk` rows at a time."""
    return torch.cat([part.amin(dim=1) for part in distances(rows, among, chunk)])


def nearest_row(
    rows: Float[Tensor, "row *shape"], among: Float[Tensor, "other_row *shape"], chunk: int = 250
) -> Int[Tensor, " row"]:
    """Return the index of the nearest of the other rows, for each row."""
    return torch.cat([part.argmin(dim=1) for part in distances(rows, among, chunk)])


def distances(
    rows: Float[Tensor, "row *shape"], among: Float[Tensor, "other_row *shape"], chunk: int
) -> Iterator[Float[Tensor, "some other_row"]]:
    """Yield Euclidean distances to all other rows, for `chunk` rows at a time."""
    flat = among.flatten(1)
    return (torch.cdist(part, flat) for part in rows.flatten(1).split(chunk))
