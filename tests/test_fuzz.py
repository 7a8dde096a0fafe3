"""Fuzz tests of commands, calls, files and links: each gives an answer or an error of one sentence.

`python -m tests.campaigns fuzz` tries thousands, and measures time as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from tests.fuzz.cases import MAKERS, confined, warm
from tests.fuzz.watch import judge

SHARES = {"cli": 60, "api": 80, "toml": 100, "url": 5}
"""How many cases of each class are tried."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    warm()
    with confined(folder := tmp_path_factory.mktemp("fuzz")):
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_every_request_is_answered_or_refused_in_one_sentence(
    name: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    @settings(max_examples=SHARES[name], suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32))
    def holds(seed: int) -> None:
        what, run, refusals = MAKERS[name](Random(seed), folder)
        outcome = judge(run, (*refusals, TypeCheckError))  # the tests check the types of all calls
        capfd.readouterr()
        assert outcome.kind not in ("traceback", "memory"), f"{what}\n{outcome.detail}"

    holds()
