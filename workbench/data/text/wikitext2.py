"""WikiText-2: encyclopedia articles, for evaluating language models on another kind of text."""

from workbench.core.registry import DATASETS
from workbench.data.files.downloads import RemoteFile, fetch
from workbench.data.text.text_data import TextData, text_hash

COMMIT = "77f55b912142e11fcfdf5b530231fb9c52f181e8"
FOLDER = f"https://raw.githubusercontent.com/pytorch/examples/{COMMIT}/word_language_model/data/wikitext-2"
VALID = RemoteFile(
    "wikitext2_valid.txt",
    f"{FOLDER}/valid.txt",
    "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
)
TEST = RemoteFile(
    "wikitext2_test.txt",
    f"{FOLDER}/test.txt",
    "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
)


@DATASETS.register("wikitext2")
def wikitext2() -> TextData:
    """The published validation part as `train` (the large training part is left out), the test part as `validation`."""
    train, test = (fetch(file).read_bytes().decode() for file in (VALID, TEST))
    return TextData(
        name="wikitext2",
        train=train,
        validation=test,
        licence="CC BY-SA 3.0 / GFDL (Wikipedia; Merity et al. 2016)",
        source=FOLDER,
        sha256=text_hash(train, test),
        note="Tokenised: spaces around punctuation, @-@ for hyphens, rare words as <unk>.",
    )
