"""Wrong texts and values that users write, and mutations of valid texts."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import torch

DIGITS = "0 1 -1 2 7 63 64 99 1.5 1e3 1e999 -0 007 +1 1_000 0x1f nan inf -inf ٣ ² ½ 1,2 -1,-2 1:3 6:3 .5 5. --1 1e"
NUMBERS = (
    *DIGITS.split(),
    *("0:99999999999", "1e-400", "true", "none", "", "9" * 19, "9" * 400, "9" * 5000, "1" + "0" * 30),
    *(str(2**31), str(2**63)),
)
SIGNS = """é 日本 🙂 none null true NaN - -- -h --help --json = : :: || | , ,, [ ] [] [[[[ {} {0} %s %n $(id) `id`
\\ / // . .. ../.. ~ ~nobody/x /dev/null/x * ? ** [a- ! # <b> @ @1 @@ a@-1 a@9999999999999999999"""
TEXTS = (
    *("", " ", "\n", "\t", "\0", "\udc80", "\ud800x", "\u2028", "\ufeff", "\u202eabc", "a" * 256, "b" * 5000),
    *("x" * 100_000, "(" * 3000, "[" * 3000),
    *SIGNS.split(),
)
PLAIN = (None, True, -1, 0, 3, 2**31, 2**63, 10**30, 10**5000, 1.5, -0.0, float("nan"), float("inf"), 1j, b"", b"\xff")
NESTED = ([], [None], ["a"], [1, 2], (), (1, "a"), {}, {"a": 1}, {1: 2}, set(), slice(1, 2), slice(None, None, 0))
OBJECTS = (object(), int, print, ValueError("x"), range(3), range(10**15), torch.nn.Linear(2, 2))
ARRAYS = (
    *(np.int64(3), np.float32("nan"), np.zeros((2, 2)), torch.tensor(3), torch.zeros(0), torch.zeros(2, 3)),
    *(torch.full((4,), float("nan")), torch.zeros(2, dtype=torch.long), torch.zeros(3, dtype=torch.bfloat16)),
    torch.zeros(2, dtype=torch.complex64),
)


def pick(rng: Random, *choices: Any) -> Any:
    """One of some choices."""
    return choices[rng.randrange(len(choices))]


def number(rng: Random) -> str:
    """A number as nobody should write it, or as everybody does."""
    return pick(rng, str(rng.randrange(-3, 40)), pick(rng, *NUMBERS), str(rng.uniform(-2, 2)))


def text(rng: Random) -> str:
    """A text that no name is made of, or two of them."""
    one = pick(rng, *TEXTS, *NUMBERS)
    return one + pick(rng, *TEXTS) if rng.random() < 0.2 else one


def mutate(rng: Random, right: str) -> str:
    """A right text with one to three characters or numbers changed."""
    for _ in range(rng.randrange(1, 4)):
        at, to = sorted(rng.randrange(len(right) + 1) for _ in range(2))
        change = rng.randrange(8)
        if change == 0:
            right = right[:at] + right[at + 1 :]
        elif change == 1:
            right = right[:at] + text(rng) + right[at:]
        elif change == 2:
            right = right[:at] + right[at:to] * 2 + right[to:]
        elif change == 3:
            right = right[:at] + right[to:]
        elif change == 4:
            right = right.swapcase()
        elif change == 5:
            right = right[:at] + pick(rng, *":,=[]|-.0123456789 ") + right[at:]
        else:
            right = with_other_number(rng, right)
    return right


def with_other_number(rng: Random, right: str) -> str:
    """A text with one of its runs of digits replaced."""
    runs = [i for i, c in enumerate(right) if c.isdigit()]
    if not runs:
        return right + number(rng)
    at = pick(rng, *runs)
    return right[:at] + number(rng) + right[at + 1 :]


def spoil(rng: Random, right: str, often: float = 0.12) -> str:
    """The right text, mostly; else a mutation, a number or any text."""
    if rng.random() > often:
        return right
    return pick(rng, mutate(rng, right), mutate(rng, right), number(rng), text(rng))


def value(rng: Random) -> Any:
    """An object of Python that few arguments expect."""
    return pick(
        rng, pick(rng, *PLAIN), pick(rng, *NESTED), pick(rng, *OBJECTS), pick(rng, *ARRAYS), number(rng), text(rng)
    )
