"""Inputs that need no thinking: what a model is asked about when nobody says otherwise, and more to choose from.

Every contrast has one form, whatever the network: an input is compared with one of the same kind to which another
answer belongs (`other:SEED`), and the metric is the logit of its own answer minus that of the other. So each example
moves in the same direction, and the mean effect is that of single examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from workbench.checkpoints.card import model_folder, read_card
from workbench.checkpoints.provenance import Stamp, stamp_of
from workbench.core.errors import InputError, short
from workbench.core.registry import MODELS
from workbench.data.pairs.pronunciations import installed
from workbench.data.text.tokenizers import Tokenizer, from_json
from workbench.experiments.inputs.batches import ALSO
from workbench.experiments.inputs.prompts import ready_prompts
from workbench.experiments.inputs.reading import kind_of

PAIRS = (
    (
        "When Mary and John went to the shop, John gave a book to",
        "When Mary and John went to the shop, Mary gave a book to",
    ),
    ("The king is dead. Long live the k", "The duke is dead. Long live the d"),
    ("ROMEO:\nMy love is as a fever, lo", "ROMEO:\nMy hate is as a fever, ha"),
)
"""Prompts that differ in what the next word depends on."""
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
"""Such prompts for models of one text, which come first."""


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
"""What the sequences of each task are called, and a prompt for it with another that has another answer."""

ANSWERS = {
    "pronunciations": ("words", "through=>TH R", "thorough=>TH ER"),
    "dates": ("dates", "12 March 1984=>198", "12 March 1994=>199"),
}
"""What the pairs of each data set are called, and one of them with another whose answer goes on otherwise."""


SEVERAL_RIGHT = ("greater_than",)
"""Data sets whose questions have several right answers."""
OTHER = "other:0"
"""For each clean example one of the same kind that has another answer."""


@dataclass(frozen=True)
class Preset:
    """Inputs to choose by name, and what corrupts them."""

    label: str
    inputs: str
    corrupted: str


VOWELS = ("cat", "cot"), ("bit", "bat"), ("ten", "tin"), ("man", "men"), ("sit", "set"), ("fan", "fun"), ("nut", "not")
"""Words of three letters that differ in the middle one, and so in the second phoneme."""


def typed_words() -> Preset:
    """Words with their first phoneme given, each corrupted by the one that differs in its vowel."""
    clean, other = (
        ALSO.join(f"{word}=>{word[0].replace('c', 'k').upper()}" for pair in pairs for word in pair)
        for pairs in (VOWELS, [pair[::-1] for pair in VOWELS])
    )
    return Preset(f"{2 * len(VOWELS)} words of three letters", f"text:{clean}", f"text:{other}")


def presets(model: str) -> tuple[Preset, ...]:
    """Inputs to offer for a trained network, the default first; the network itself is not loaded."""
    card = read_card(model)
    architecture = card.architecture
    kind = kind_of(architecture)
    if kind == "policy":
        return tuple(Preset(f"16 steps of episode {seed}", f"rollout:{seed}:16", OTHER) for seed in range(3))
    if kind == "text":
        return task_presets(*TASKS[card.data.name]) if card.data.name in TASKS else text_presets(model)
    if kind == "pair":
        offered = pair_presets(*ANSWERS.get(card.data.name, ()))
        # The dictionary is an optional package: without it the words have to be typed.
        return (typed_words(), offered[1]) if card.data.name == "pronunciations" and installed() is None else offered
    if kind == "latent":
        return (
            Preset("16 samples", "sample:0:16", OTHER),
            Preset("one sample", "sample:0:1", OTHER),
            Preset("64 samples", "sample:0:64", OTHER),
            Preset("one latent from -3 to 3", "walk:0:0", OTHER),
        )
    return (
        Preset("16 test images", "test:0:16", OTHER),
        Preset("one test image", "test:0:1", OTHER),
        Preset("64 test images", "test:0:64", OTHER),
    )


def task_presets(what: str, prompt: str, other: str) -> tuple[Preset, ...]:
    """Test sequences of a task and a prompt; what corrupts them has another answer."""
    return (
        Preset(f"16 test {what}", "test:0:16", OTHER),
        Preset(prompt, f"text:{prompt}{ALSO}{other}", f"text:{other}{ALSO}{prompt}"),
        Preset(f"64 test {what}", "test:0:64", OTHER),
    )


def pair_presets(what: str = "pairs", prompt: str = "", other: str = "") -> tuple[Preset, ...]:
    """Test pairs, and a prompt where one is known for the data set."""
    typed = Preset(prompt, f"text:{prompt}{ALSO}{other}", f"text:{other}{ALSO}{prompt}")
    return (
        Preset(f"16 test {what}", "test:0:16", OTHER),
        *([typed] if prompt else []),
        Preset(f"64 test {what}", "test:0:64", OTHER),
    )


def text_presets(model: str) -> tuple[Preset, ...]:
    """Ready-made prompts, and pairs of prompts that the model's tokenizer cuts into the same number of tokens."""
    tokenizer, card = tokenizer_of(model_folder(model) / "tokenizer.json"), read_card(model)
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
        return Preset(f"{n} prompts", f"prompts:0:{n}", OTHER), *typed
    except InputError:
        if not typed:
            raise
        return tuple(typed)


def tokenizer_of(path: Path) -> Tokenizer:
    """The tokenizer in a checkpoint's folder, kept in memory while its file is the same."""
    stamp = stamp_of(path)
    if stamp is None:
        raise InputError(f"{path.parent.name} has no tokenizer, and so no usual prompts. Save it with one.")
    return _tokenizer_of(stamp)


@lru_cache(maxsize=4)
def _tokenizer_of(stamp: Stamp) -> Tokenizer:
    return from_json(Path(stamp.path).read_text(encoding="utf-8"))


def same_length(pair: tuple[str, str], tokenizer: Tokenizer) -> bool:
    """Whether both prompts are known to the tokenizer, with as many tokens."""
    try:
        one, two = map(tokenizer.encode, pair)
    except InputError:
        return False
    return len(one) == len(two)


def default_inputs(model: str) -> str:
    """What a trained network is asked about when nobody says otherwise."""
    return presets(model)[0].inputs


def default_corrupted(model: str, inputs: str) -> str:
    """What corrupts `inputs` when nobody says otherwise."""
    for preset in (offered := presets(model)):
        if preset.inputs == inputs:
            return preset.corrupted
    source, _, rest = inputs.partition(":")
    typed = kind_of(read_card(model).architecture) == "text" and source == "text"
    if typed and ALSO in rest:
        first, *others = rest.split(ALSO)
        return f"text:{ALSO.join([*others, first])}"
    if not typed or read_card(model).data.name in TASKS:
        return OTHER
    raise InputError(
        f"Nothing is known that would corrupt {short(inputs)}. Give corrupted inputs of the same size, such as "
        f"{offered[0].corrupted!r} for {offered[0].inputs!r}."
    )


def default_metric(model: str, contrast: bool) -> str:
    """What is measured when nobody says otherwise.

    In a contrast with corrupted inputs it is the logit of the right answer minus that of the corrupted input's, the
    probability of all right answers minus that of the others where a task has several, and the log probability of the
    clean image under an autoencoder's reconstruction. Without corrupted inputs it is the logit.
    """
    if not contrast:
        return "logit"
    card = read_card(model)
    if MODELS[card.architecture].family == "vae":  # type: ignore[attr-defined]
        return "reconstruction"
    return "probability_difference" if card.data.name in SEVERAL_RIGHT else "logit_difference"
