"""Tests of the Fourier analysis of addition, on logits with known frequencies."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.analysis.circuits.fourier import (
    exclude,
    fourier_basis,
    key_frequencies,
    measure_frequencies,
    of_frequencies,
    restrict,
    spectrum,
    sum_logits,
)
from workbench.core.errors import InputError
from workbench.zoo.gpt import GPT, GPTConfig

primes = st.sampled_from([3, 5, 7, 11, 13])


def rotations(prime: int, strengths: dict[int, float]) -> torch.Tensor:
    """Logits that are sums of cos(2 pi k (a + b - c) / prime): how a network that adds by rotations answers."""
    x = torch.arange(prime)
    difference = x[:, None, None] + x[:, None] - x
    return sum(
        (s * torch.cos(2 * torch.pi * k * difference / prime) for k, s in strengths.items()),
        torch.zeros(prime, prime, prime),
    )


@given(prime=primes)
def test_the_waves_and_the_constant_are_an_orthonormal_basis(prime: int) -> None:
    waves = fourier_basis(prime).flatten(0, 1)
    basis = torch.cat([torch.full((1, prime), prime**-0.5), waves])
    torch.testing.assert_close(basis @ basis.T, torch.eye(prime), atol=1e-5, rtol=0)


def test_an_even_modulus_is_refused() -> None:
    with pytest.raises(InputError, match="must be odd"):
        fourier_basis(12)


@given(prime=st.sampled_from([11, 13, 17]), seed=st.integers(0, 2**16))
def test_the_parts_of_all_frequencies_are_what_depends_on_the_sum_alone(prime: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    of_sum = torch.randn(prime, prime, generator=random)
    x = torch.arange(prime)
    logits = of_sum[(x[:, None] + x) % prime]
    every = range(1, (prime + 1) // 2)
    torch.testing.assert_close(restrict(logits, every), logits, atol=1e-4, rtol=1e-4)
    noise = torch.randn(prime, prime, prime, generator=random)
    only = of_frequencies(noise, every)
    torch.testing.assert_close(of_frequencies(only, every), only, atol=1e-4, rtol=1e-4)  # a projection
    torch.testing.assert_close(exclude(noise, every) + only, noise)


def test_the_frequencies_of_rotations_are_found_and_only_they_matter() -> None:
    logits = rotations(13, {2: 9.0, 5: 6.0})
    numbers = torch.cat([fourier_basis(13)[1], 0.5 * fourier_basis(13)[4]]).T
    found = spectrum(numbers, logits)
    assert found.key == (2, 5)
    expected = torch.zeros(6)
    expected[[1, 4]] = torch.tensor([81.0, 36.0]) / 117
    torch.testing.assert_close(found.logits, expected, atol=1e-5, rtol=0)
    assert found.embedding[1] == pytest.approx(0.8, abs=1e-5) and found.embedding[4] == pytest.approx(0.2, abs=1e-5)
    trained = torch.zeros(13, 13, dtype=torch.bool)
    trained[:4] = True
    measured = measure_frequencies(logits, found.key, trained)
    assert measured.accuracy == measured.restricted_accuracy == 1
    assert measured.restricted == pytest.approx(measured.loss, abs=1e-4)
    chance = torch.tensor(13.0).log().item()
    assert measured.excluded == pytest.approx(chance, abs=1e-3) and measured.loss < 0.2 * chance
    assert measured.excluded_trained == pytest.approx(chance, abs=1e-3)


def test_a_table_learned_by_heart_loses_nothing_with_the_frequencies() -> None:
    prime, random = 13, torch.Generator().manual_seed(0)
    x = torch.arange(prime)
    known = torch.rand(prime, prime, generator=random) < 0.3
    right = torch.nn.functional.one_hot((x[:, None] + x) % prime, prime)
    logits = 20.0 * right * known[..., None] + torch.randn(prime, prime, prime, generator=random)
    measured = measure_frequencies(logits, (1, 2), known)
    assert measured.trained < 0.01 and measured.excluded_trained < 0.1
    assert measured.accuracy < 0.6


def test_key_frequencies_are_the_fewest_that_hold_the_share() -> None:
    assert key_frequencies(torch.tensor([1.0, 60.0, 4.0, 35.0])) == (2, 4)
    assert key_frequencies(torch.tensor([1.0, 60.0, 4.0, 35.0]), kept=0.96) == (2, 3, 4)


def test_logits_of_sums_are_the_models_own() -> None:
    model = GPT(GPTConfig(d_vocab=6, n_ctx=3, n_layers=1, d_model=8, n_heads=2)).eval()
    logits = sum_logits(model, 5)
    torch.testing.assert_close(logits[3, 4], model(torch.tensor([[3, 4, 5]]))[0, -1, :5])
