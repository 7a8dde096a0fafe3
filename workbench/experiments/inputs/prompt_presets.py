"""Prompt presets of language models, each with a corrupted prompt of the same length and another answer."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from workbench.checkpoints.card import model_folder, read_card, split_step
from workbench.checkpoints.provenance import Stamp, stamp_of
from workbench.core.errors import InputError
from workbench.data.text.tokenizers import Tokenizer, from_json
from workbench.experiments.inputs.language import ALSO
from workbench.experiments.inputs.modality import Preset
from workbench.experiments.inputs.prompts import ready_prompts

PAIRS = (
    (
        "When Mary and John went to the shop, John gave a book to",
        "When Mary and John went to the shop, Mary gave a book to",
    ),
    ("The king is dead. Long live the k", "The duke is dead. Long live the d"),
    ("ROMEO:\nMy love is as a fever, lo", "ROMEO:\nMy hate is as a fever, ha"),
)
"""Prompts that differ in the word on which the next one depends."""
OWN_PAIRS = {
    "tales": (
        (
            "Tell of Ada, a shy fox, and a ring.\nOnce there was a shy",
            "Tell of Ada, a shy cat, and a ring.\nOnce there was a shy",
        ),
    ),
    "story_books": (
        (
            "The captain saw the old man on the mountain.\nBook:",
            "The children saw the old man on the mountain.\nBook:",
        ),
    ),
    "story_cloze": (
        (
            'Tom and Mary met John. Tom was sad.\nQuestion: "I am sad," said ____.\nAnswer: "I am sad," said',
            'Tom and Mary met John. Mary was sad.\nQuestion: "I am sad," said ____.\nAnswer: "I am sad," said',
        ),
    ),
    "story_sounds": (("English: he came to the sea\nSounds:", "English: we came to the sea\nSounds:"),),
}
"""The same for models of one data set; they come first."""

TASKS = {
    "modular_addition": ("sums", "7 + 12 =", "30 + 12 ="),
    "repeated_tokens": ("repetitions", "^ A B C D E F G H A B C D", "^ A B D C E F G H A B C D"),
    "indirect_objects": ("sentences", *PAIRS[0]),
    "greater_than": (
        "sentences",
        "The war lasted from the year 17 32 to the year 17",
        "The war lasted from the year 17 01 to the year 17",
    ),
}
"""By task: a word for its sequences, a prompt, and another prompt that has another answer."""


def prompt_presets(model: str) -> tuple[Preset, ...]:
    """Return the presets of a language model: sequences of its task, or prompts that its tokenizer knows."""
    data = read_card(model).data.name
    return task_presets(*TASKS[data]) if data in TASKS else text_presets(model)


def task_presets(plural: str, prompt: str, other: str) -> tuple[Preset, ...]:
    """Return test sequences of a task and a pair of prompts."""
    return (
        Preset(f"16 test {plural}", "test:0:16"),
        Preset(prompt, f"text:{prompt}{ALSO}{other}", f"text:{other}{ALSO}{prompt}"),
        Preset(f"64 test {plural}", "test:0:64"),
    )


def text_presets(model: str) -> tuple[Preset, ...]:
    """Return ready-made prompts, and pairs of prompts with the same number of tokens."""
    tokenizer, card = tokenizer_of(model_folder(split_step(model)[0]) / "tokenizer.json"), read_card(model)
    # A word's first letter is a question for a model of characters, its name for one of words.
    pairs = PAIRS if any(len(token) > 1 for token in tokenizer.tokens) else PAIRS[1:] + PAIRS[:1]
    pairs = OWN_PAIRS.get(card.data.name, ()) + pairs
    typed = [
        Preset(clean.replace("\n", " "), f"text:{clean}{ALSO}{other}", f"text:{other}{ALSO}{clean}")
        for clean, other in pairs
        if same_length((clean, other), tokenizer)
    ]
    try:
        n = min(16, len(ready_prompts(card, tokenizer).prompts))
        return Preset(f"{n} prompts", f"prompts:0:{n}"), *typed
    except InputError:
        if not typed:
            raise
        return tuple(typed)


def tokenizer_of(path: Path) -> Tokenizer:
    """Read the tokenizer of a checkpoint's folder; it is kept in memory while the file is the same."""
    stamp = stamp_of(path)
    if stamp is None:
        raise InputError(f"{path.parent.name} has no tokenizer, and so no usual prompts. Save it with one.")
    return _tokenizer_of(stamp)


@lru_cache(maxsize=4)
def _tokenizer_of(stamp: Stamp) -> Tokenizer:
    return from_json(Path(stamp.path).read_text(encoding="utf-8"))


def same_length(pair: tuple[str, str], tokenizer: Tokenizer) -> bool:
    """Test that the tokenizer knows both prompts and gives them the same number of tokens."""
    try:
        one, two = map(tokenizer.encode, pair)
    except InputError:
        return False
    return len(one) == len(two)
