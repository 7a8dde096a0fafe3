"""Tests of training curves: steps, points and JSON."""

import json
import math

from workbench.training.curve import Curve


def test_series_keep_their_own_steps_in_one_table() -> None:
    curve = Curve().with_point(2, {"train_loss": 3.0}).with_point(4, {"test_accuracy": 0.5})
    assert curve.table() == {"step": [2, 4], "train_loss": [3.0, None], "test_accuracy": [None, 0.5]}
    assert curve.points("test_accuracy") == [(4, 0.5)]
    assert curve.last("train_loss") == 3.0


def test_two_measurements_at_one_step_share_a_row() -> None:
    curve = Curve().with_point(2, {"a": 1.0}).with_point(2, {"b": 2.0})
    assert curve.table() == {"step": [2], "a": [1.0], "b": [2.0]}


def test_adding_a_point_leaves_the_old_curve_as_it_was() -> None:
    old = Curve().with_point(1, {"a": 1.0})
    old.with_point(2, {"a": 2.0})
    assert old.table() == {"step": [1], "a": [1.0]}


def test_json_is_strict_and_reads_back() -> None:
    curve = Curve().with_point(1, {"a": 1.5, "b": math.inf})
    assert json.loads(curve.to_json()) == {"step": [1], "a": [1.5], "b": [None]}
    assert Curve.from_json(curve.to_json()).points("a") == [(1, 1.5)]
