"""Disentanglement: agreement of single latents with the factors of variation."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from workbench.core.errors import InputError

Codes = Float[Tensor, "row latent"]
Factors = Int[Tensor, "row factor"]
Scores = Float[Tensor, "latent factor"]
BINS = 20


def mutual_information(one: Int[Tensor, " row"], other: Int[Tensor, " row"]) -> Float[Tensor, ""]:
    """Compute the mutual information of two discrete variables, in nats, from their frequencies."""
    joint = one_hot(one).double().T @ one_hot(other).double() / len(one)
    independent = joint.sum(dim=1, keepdim=True) * joint.sum(dim=0, keepdim=True)
    return torch.where(joint > 0, joint * (joint / independent).log(), 0.0).sum()


def entropy(variable: Int[Tensor, " row"]) -> Float[Tensor, ""]:
    """Compute the entropy of a discrete variable, in nats."""
    share = torch.bincount(variable).double() / len(variable)
    return -torch.where(share > 0, share * share.log(), 0.0).sum()


def bin_codes(codes: Codes, bins: int = BINS) -> Int[Tensor, "row latent"]:
    """Sort each latent's values into bins of equal width between its extremes."""
    low, high = codes.aminmax(dim=0)
    share = (codes - low) / (high - low).clamp(min=1e-12)
    return (share * bins).long().clamp(max=bins - 1)


def mutual_informations(codes: Codes, factors: Factors, bins: int = BINS) -> Scores:
    """Compute the mutual information of every latent with every factor, divided by the factor's entropy (0 to 1)."""
    cut = bin_codes(codes, bins)
    rows = [[mutual_information(c, f) / entropy(f) for f in factors.unbind(1)] for c in cut.unbind(1)]
    return torch.tensor(rows)


def mutual_information_gap(codes: Codes, factors: Factors, bins: int = BINS) -> Float[Tensor, " factor"]:
    """Compute the gap between the two most informative latents of each factor; the mean is MIG (Chen et al. 2018)."""
    return top_two_gap(mutual_informations(codes, factors, bins))


def predictability(codes: Codes, factors: Factors, bins: int = BINS) -> Scores:
    """Compute the accuracy of predicting each factor from single latents, on even rows.

    The prediction is the most frequent value in the latent's bin among odd rows.
    """
    cut, scores = bin_codes(codes, bins), []
    for latent in cut.unbind(1):
        row = []
        for factor in factors.unbind(1):
            counts = one_hot(latent[1::2], bins).double().T @ one_hot(factor[1::2], int(factor.max()) + 1).double()
            row.append((counts.argmax(dim=1)[latent[::2]] == factor[::2]).double().mean())
        scores.append(row)
    return torch.tensor(scores)


def separated_predictability(codes: Codes, factors: Factors, bins: int = BINS) -> Float[Tensor, " factor"]:
    """Compute the gap between the two most predictive latents of each factor; the mean is SAP (Kumar et al. 2018).

    The predictor is a histogram instead of the paper's linear classifier.
    """
    return top_two_gap(predictability(codes, factors, bins))


def top_two_gap(scores: Scores) -> Float[Tensor, " factor"]:
    """Return the largest score of each factor minus the second largest."""
    if len(scores) < 2:
        raise InputError(f"The gap is between two latents, got {len(scores)}. Give codes with at least two.")
    best = scores.topk(2, dim=0).values
    return best[0] - best[1]
