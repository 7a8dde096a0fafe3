"""English stories: 100 books for young readers, 22 million characters of clean prose."""

from workbench.core.registry import DATASETS
from workbench.data.files.downloads import find, raise_missing
from workbench.data.files.storage import file_hash
from workbench.data.text.text_data import TextData, text_hash

REPOSITORY = "mlschmitt/classic-books-markdown"
COMMIT = "944882722e9a96fa6cf2739dc2ea757e101f412f"
SHA256 = {
    "english_stories_train.txt": "74e3bc4ce84977557b1517c85551c8eedbb190439001dd3ecd9183ee697b67bc",
    "english_stories_val.txt": "c354358d65644e0bdf890765fe8ef2c8365df2cc0b511e93ad3744fbad743f59",
}


@DATASETS.register("english_stories")
def english_stories() -> TextData:
    """94 training and 6 validation books, separated by `<|endoftext|>` on a line of its own."""
    train, validation = (read(name) for name in SHA256)
    return TextData(
        name="english_stories",
        train=train,
        validation=validation,
        licence="Public domain (every dated title is from 1923 or before)",
        source=f"https://github.com/{REPOSITORY} at {COMMIT}, marks and headers removed, quotes straightened",
        sha256=text_hash(train, validation),
        note="Split by whole book. Validation: The Wizard of Oz, Heidi, The Hound of the Baskervilles, Aesop's Fables, "
        "The Little Mermaid, Treasure Island.",
    )


def read(name: str) -> str:
    """Read one prepared file from this machine."""
    path = find(name, lambda path: file_hash(path) == SHA256[name])
    if path is None:
        raise_missing(
            name,
            SHA256[name],
            f"No data folder has {name}, and it cannot be downloaded: it was prepared from {REPOSITORY} on GitHub "
            f"(commit {COMMIT}) by steps that are not part of this package.",
        )
    return path.read_bytes().decode()
