"""Tests of the English stories: missing files, and a split by whole books."""

import pytest

from tests.data.conftest import Folders
from workbench.core.errors import DataError
from workbench.core.registry import DATASETS


def test_without_the_files_the_error_says_that_they_must_be_put_there_by_hand(own_folders: Folders) -> None:
    (own_folders.named / "english_stories_train.txt").write_text("another text")
    with pytest.raises(DataError) as error:
        DATASETS["english_stories"]()
    for hint in ("cannot be downloaded", str(own_folders.cache), "sha256", "with other contents"):
        assert hint in str(error.value)


@pytest.mark.needs_data("english_stories")
def test_stories_are_split_by_whole_book() -> None:
    data = DATASETS["english_stories"]()
    assert "the Wicked Witch of the West" in data.validation
    long_lines = [{line for line in text.splitlines() if len(line) > 200} for text in (data.train, data.validation)]
    assert min(map(len, long_lines)) > 1000
    assert not long_lines[0] & long_lines[1]
