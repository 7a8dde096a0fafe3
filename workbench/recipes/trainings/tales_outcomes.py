"""Sampling of tales from a GPT, and metrics of the samples: true reward, grammar, uniqueness, length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from workbench.core.errors import InputError, short
from workbench.core.random import generator
from workbench.data.text.annotator import true_reward
from workbench.data.text.byte_pairs import END_OF_TEXT, BytePairTokenizer
from workbench.data.text.tales import is_grammatical
from workbench.training.rlhf.completions import Marks, completion_mask, stack_rows
from workbench.training.scores import bootstrapped_mean
from workbench.zoo.layers.sampling import SamplingConfig

N_NEW = 72
"""Tokens after the longest prompt of a batch; nearly every tale of the grammar is shorter."""
TEMPERATURE = 0.7
"""Temperature of tuning and measuring (TRL's default); pairs to learn preferences from are sampled at 1."""


@dataclass(frozen=True, eq=False)
class Tales:
    """Prompts with their tales; `rows` are both in tokens, `ended` is False for tales that were cut off."""

    prompts: Sequence[str]
    tales: Sequence[str]
    rows: Int[Tensor, "row pos"]
    ended: Bool[Tensor, " row"]
    length: Int[Tensor, " row"]
    """Length of each tale in tokens, the end included."""
    true_reward: Float[Tensor, " row"]

    def row(self, i: int) -> Tales:
        """Return one of the tales."""
        at = slice(i, i + 1)
        columns = (self.rows[at], self.ended[at], self.length[at], self.true_reward[at])
        return Tales(self.prompts[at], self.tales[at], *columns)

    @classmethod
    def join(cls, parts: Sequence[Tales], end: int) -> Tales:
        """Join several sets of tales, with rows filled up with the token `end`."""
        prompts, tales = ([text for part in parts for text in getattr(part, name)] for name in ("prompts", "tales"))
        rows = pad_sequence([row for part in parts for row in part.rows], batch_first=True, padding_value=end)
        ended, length, reward = (
            torch.cat([getattr(part, name) for part in parts]) for name in ("ended", "length", "true_reward")
        )
        return cls(prompts, tales, rows, ended, length, reward)


def marks_of(tokenizer: Any) -> Marks:
    """Return the marks: a line break ends the prompt, `<|endoftext|>` the tale."""
    return Marks(int(tokenizer.encode("\n")[0]), int(tokenizer.encode(END_OF_TEXT)[0]))


def tale_rows(text: str, tokenizer: BytePairTokenizer, marks: Marks) -> Int[Tensor, "row pos"]:
    """Tokenize each prompt with its tale as one row."""
    return stack_rows([tokenizer.encode(tale + END_OF_TEXT) for tale in text.split(END_OF_TEXT)[:-1]], marks)


def prompts_of(text: str) -> list[str]:
    """Return the prompts in a text of tales."""
    return [tale.partition("\n")[0] + "\n" for tale in text.split(END_OF_TEXT)[:-1]]


def sample_tales(model: Any, prompts: Sequence[str], tokenizer: Any, seed: int, temperature: float = 1.0) -> Tales:
    """Sample one tale for each prompt, which is one line with a line break."""
    for number, prompt in enumerate(prompts):
        if prompt.find("\n") != len(prompt) - 1 or len(prompt) < 2:
            raise InputError(
                f"Order {number}, {short(prompt)}, is not one line with a line break at its end, where a tale begins."
            )
    encoded = [tokenizer.encode(prompt) for prompt in prompts]
    rows = model.complete(
        encoded, N_NEW, marks_of(tokenizer).end, generator(seed, "tales"), SamplingConfig(temperature)
    )
    return decode_tales(rows, prompts, tokenizer)


def decode_tales(rows: Int[Tensor, "row pos"], prompts: Sequence[str], tokenizer: Any) -> Tales:
    """Decode rows of tokens to tales."""
    marks = marks_of(tokenizer)
    mask = completion_mask(rows, marks)
    ended = (mask & (rows == marks.end)).any(dim=1)
    tales = [
        tokenizer.decode(row[kept]).removesuffix(END_OF_TEXT) for row, kept in zip(rows, mask, strict=True)
    ]  # fmt: skip
    rewards = torch.tensor([true_reward(prompt, tale) for prompt, tale in zip(prompts, tales, strict=True)])
    return Tales(prompts, tales, rows, ended, mask.sum(dim=1), rewards)


def tale_metrics(sample: Tales, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Measure true reward, shares of grammatical and of unique tales, and length in tokens.

    Tales are grammatical if the grammar accepts them and they ended, and unique if no other tale is equal.
    """
    right = torch.tensor([is_grammatical(tale) for tale in sample.tales]) & sample.ended
    unique = torch.tensor([sample.tales.count(tale) == 1 for tale in sample.tales])
    columns = {"true_reward": sample.true_reward, "grammatical": right, "unique": unique, "length": sample.length}
    return {name: bootstrapped_mean(column, seed) for name, column in columns.items()}
