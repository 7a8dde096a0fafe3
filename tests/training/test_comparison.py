"""Tests of comparison results: batch sizes and JSON."""

import json
import math

from workbench.training.comparison import Attempt, Comparison, Variant, replace_infinite
from workbench.training.curve import Curve


def comparison(batch_sizes: tuple[int, ...]) -> Comparison:
    variants = tuple(
        Variant(f"batch {size}", {"batch_size": size}, size, (Attempt(0, {"w": 1.0}, {}, Curve(), 0.5, 10),))
        for size in batch_sizes
    )
    return Comparison("sizes", "Which size?", "digits_mlp", "hash", "commit", variants)


def test_variants_of_other_batch_sizes_are_compared_by_examples() -> None:
    assert comparison((1, 128)).by_examples and not comparison((128, 128)).by_examples


def test_what_is_not_finite_becomes_none_and_the_rest_is_json() -> None:
    curve = Curve([1, 2], {"loss": [math.inf, 0.1234567891]})
    stored = replace_infinite({"a": math.nan, "curve": [curve.step, curve.series]})
    assert json.loads(json.dumps(stored, allow_nan=False)) == {"a": None, "curve": [[1, 2], {"loss": [None, 0.123457]}]}
