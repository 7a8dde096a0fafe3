"""Tests of Tiny Shakespeare: split and sizes."""

import hashlib
from dataclasses import replace

import pytest

from tests.data.conftest import Folders
from tests.data.loopback import Loopback, serving
from workbench.core.registry import DATASETS
from workbench.data.text import tiny_shakespeare


def test_the_first_nine_tenths_train_and_the_rest_validates(
    own_folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "a" * 90 + "b" * 10
    with serving(Loopback({"input.txt": text.encode()})) as server:
        file = replace(
            tiny_shakespeare.FILE,
            url=f"{server.url}/input.txt",
            sha256=hashlib.sha256(text.encode()).hexdigest(),
        )
        monkeypatch.setattr(tiny_shakespeare, "FILE", file)
        data = tiny_shakespeare.tiny_shakespeare()
    assert (data.train, data.validation, data.sha256) == ("a" * 90, "b" * 10, file.sha256)


@pytest.mark.needs_data("tiny_shakespeare")
def test_tiny_shakespeare_has_the_sizes_of_nanogpt() -> None:
    data = DATASETS["tiny_shakespeare"]()
    assert (len(data.train), len(data.validation)) == (1_003_854, 111_540)
    assert len(set(data.train + data.validation)) == 65
