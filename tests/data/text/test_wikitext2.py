"""Tests of WikiText-2: number of tokens."""

import pytest

from workbench.core.registry import DATASETS


@pytest.mark.needs_data("wikitext2")
def test_the_test_part_has_the_published_number_of_tokens() -> None:
    data = DATASETS["wikitext2"]()
    words = data.validation.split()
    lines = data.validation.count("\n")
    assert len(words) + lines == 245_569  # Merity et al. 2016, table 1, which counts ends of lines
    assert data.train != data.validation
