"""Tiny Shakespeare: 1.1 million characters of plays."""

from workbench.core.registry import DATASETS
from workbench.data.files.downloads import RemoteFile, fetch
from workbench.data.text.text_data import TextData

COMMIT = "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e"
FILE = RemoteFile(
    "tinyshakespeare.txt",
    f"https://raw.githubusercontent.com/karpathy/char-rnn/{COMMIT}/data/tinyshakespeare/input.txt",
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)
TRAIN_SHARE = 0.9


@DATASETS.register("tiny_shakespeare")
def tiny_shakespeare() -> TextData:
    """The first 90 % of the characters for training, the last 10 % for validation (the split of nanoGPT)."""
    text = fetch(FILE).read_bytes().decode()
    cut = int(TRAIN_SHARE * len(text))
    return TextData(
        name="tiny_shakespeare",
        train=text[:cut],
        validation=text[cut:],
        licence="Public domain (W. Shakespeare)",
        source=FILE.url,
        sha256=FILE.sha256 or "",
    )
