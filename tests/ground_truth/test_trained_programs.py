"""Tests of networks trained to implement a program: answers, and effects of edges."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from workbench.core.errors import InputError
from workbench.ground_truth.known import known_circuit
from workbench.ground_truth.tracr import Answer, find_mattering, load_program, measure_changes, run_with_cut
from workbench.ground_truth.trained_programs import NAMES, load_trained_program

every_network = pytest.mark.parametrize("name", NAMES)


def test_there_are_trained_networks() -> None:
    assert len(NAMES) >= 3


@every_network
def test_the_network_answers_like_its_program_on_every_input(name: str) -> None:
    known = load_trained_program(name)
    with torch.no_grad():
        said = known.model(known.stored["tokens"])
    assert_close(said[:, 1:], known.stored["expected"][:, 1:], rtol=0, atol=0.1)
    assert_close(run_with_cut(known.stored, known.stored["tokens"])[0], said, rtol=0, atol=1e-9)


@every_network
def test_edges_of_the_program_are_felt_far_more_than_all_others(name: str) -> None:
    known = load_trained_program(name)
    felt, matter = torch.stack(measure_changes(known, "resample")), find_mattering(name, "resample")
    assert felt[matter].min() > 5 * felt[~matter].max()


@every_network
def test_weights_are_dense_unlike_those_of_the_program(name: str) -> None:
    dense, sparse = (stored["0.W_Q"] for stored in (load_trained_program(name).stored, load_program(name).stored))
    assert (dense.abs() > 1e-6).double().mean() > 0.99 > 2 * (sparse.abs() > 1e-6).double().mean()


def test_nothing_is_said_about_zero_ablation() -> None:
    it = known_circuit(f"trained_{NAMES[0]}")
    assert isinstance(it.metric, Answer)
    with pytest.raises(InputError, match="Use 'resample'"):
        it.edges("zero")
    assert it.auroc(it.graph.full(1.0), "zero") is None
