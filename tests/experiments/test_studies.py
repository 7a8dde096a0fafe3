"""Tests that the bundled studies are valid for the committed models."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.checkpoints.card import names
from workbench.core.errors import UnknownNameError
from workbench.experiments.pipelines.pipeline import read_pipeline, studies


@pytest.mark.parametrize("name", studies())
def test_a_study_is_found_by_its_name_and_every_question_of_it_is_valid(name: str) -> None:
    specs = read_pipeline(Path(name))
    assert len(specs) > 1 and {spec.model for spec in specs} <= set(names())
    assert studies()[name].endswith((".", "?"))


def test_an_unknown_study_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="induction"):
        read_pipeline(Path("inductoin"))
