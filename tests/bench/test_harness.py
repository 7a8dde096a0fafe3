"""Tests of the benchmark harness: timing, targets, discovery, peers and peak memory."""

from __future__ import annotations

import json

import pytest
import torch
from torch.nn.utils.parametrize import is_parametrized

from tests.bench import peers
from tests.bench.__main__ import names
from tests.bench.harness import Figure, paired, peak_memory
from tests.bench.hooks import corruption
from tests.zoo.small import SMALL, example, small


def spin(n: int) -> int:
    return sum(range(n))


def test_a_run_of_three_times_the_work_takes_about_three_times_as_long() -> None:
    ratio = paired(lambda: spin(60_000), lambda: spin(20_000), repeats=9)
    assert 2 < ratio.median < 4.5 and ratio.lower <= ratio.median <= ratio.upper


def test_a_figure_says_whether_it_met_its_target() -> None:
    assert Figure("f", 1.04, "x", target="<= 1.05").met is True
    assert Figure("f", 1.6, "x", target=">= 1.7").met is False
    assert Figure("f", 1.6, "x").met is None
    fields = json.loads(Figure("f", 0.0, "x", "peer", "== 0").line())
    assert list(fields) == ["figure", "value", "unit", "peer", "target", "met"] and fields["met"] is True


def test_benchmarks_are_found_by_being_there() -> None:
    assert {"hooks", "sweeps"} <= set(names())
    assert not {"harness", "peers", "test_harness"} & set(names())


def test_peers_compute_what_ours_does() -> None:
    """Else their times would mean nothing; their copies do not carry torch's parametrizations."""
    for name in SMALL:
        model = small(name)
        if any(map(is_parametrized, model.modules())):
            continue
        x = example(model)
        hooks = [hook for hook, info in model.trace(x).items() if not info.on_request]
        with torch.no_grad():
            ours = model.cache(x)
            lens = peers.with_lens(model).run_with_cache(x, names_filter=[f"net.{hook}" for hook in hooks])[1]
            raw = peers.cache_with_torch(peers.with_identities(model), hooks, x)
        for hook in hooks:
            assert torch.equal(ours[hook], lens[f"net.{hook}"]) and torch.equal(ours[hook], raw[hook]), (name, hook)


def test_an_in_place_resnet_corrupts_a_naive_cache_and_not_ours() -> None:
    with torch.no_grad():
        naive, ours = corruption()
    assert naive.value == 17 and ours.met


def test_peak_memory_counts_tensors_that_live_at_once() -> None:
    def run() -> None:
        one = torch.zeros(1_000_000)
        del one
        both = [torch.zeros(500_000), torch.zeros(1_500_000)]
        both.clear()
        torch.zeros(250_000)

    assert peak_memory(run) == pytest.approx(8, abs=0.1)
