"""Indirect object identification: `When Mary and John went to the shop , John gave a book to` is continued by Mary."""

from __future__ import annotations

from functools import partial
from itertools import combinations

import torch
from jaxtyping import Int
from torch import Tensor

from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.tasks.sequences import UNSCORED, Rows, SequenceData
from workbench.data.text.tokenizers import WordTokenizer

NAMES = (
    "Mary", "John", "Tom", "James", "Dan", "Sarah", "Anna", "Emma", "Paul", "Mark", "Kate", "Rose", "Jack", "Peter",
    "Alice", "Laura", "Simon", "Helen", "Frank", "Lucy", "Adam", "Amy", "Ben", "Carl", "Clara", "Daniel", "Diana",
    "Ella", "Eric", "Fiona", "George", "Grace", "Henry", "Ivan", "Jane", "Julia", "Kevin", "Leo", "Lily", "Martin",
    "Nina", "Oscar", "Olga", "Philip", "Robert", "Ruth", "Sam", "Sophie", "Victor", "William",
)  # fmt: skip
OPENINGS = ("", "One day", "Last week", "Then ,", "In the evening ,", "A year ago", "So")
FORMS = (
    "When {a} and {b} went to the {place} , {s} {gave} a {thing} to",
    "While {a} and {b} were at the {place} , {s} {gave} a {thing} to",
    "{a} and {b} had a long day at the {place} and {s} {gave} a {thing} to",
    "After {a} met {b} in the {place} , {s} {gave} the {thing} to",
)
PLACES = ("shop", "garden", "school", "office", "station", "park", "kitchen", "library")
VERBS = ("gave", "handed", "passed", "offered", "brought", "showed")
THINGS = ("book", "drink", "ring", "letter", "ball", "key", "basket", "cake")
BEGIN, LENGTH = "^", 24
N_TRAIN, N_TEST = 40_000, 1_000


@DATASETS.register("indirect_objects")
def indirect_objects() -> SequenceData:
    """Random sentences in the forms of Wang et al. (2023), which end in the name that occurred once.

    Training scores every word, testing the last name only. One in five pairs of names occurs only in test sentences.
    Either name comes first, and either is the subject.
    """
    random = generator(0, "indirect objects")
    pairs = list(combinations(NAMES, 2))
    order = torch.randperm(len(pairs), generator=random).tolist()
    kept = len(pairs) // 5
    starts = [form.split()[0].lower() for form in FORMS]
    used = {word for word in (*" ".join((*OPENINGS, *FORMS)).split(), *starts) if "{" not in word}
    tokenizer = WordTokenizer((BEGIN, *NAMES, *PLACES, *VERBS, *THINGS, *sorted(used)), filling=BEGIN, length=LENGTH)
    test = make_rows([pairs[i] for i in order[:kept]], N_TEST, tokenizer, random)
    inputs, names = make_rows([pairs[i] for i in order[kept:]], N_TRAIN, tokenizer, random)
    words = torch.cat([inputs[:, 1:], names[:, -1:]], dim=1)
    train = inputs, torch.where(words == tokenizer.ids[BEGIN], UNSCORED, words)
    return SequenceData(
        "indirect_objects",
        tokenizer,
        *train,
        *test,
        counterpart=partial(swap_subject, n_names=len(NAMES)),
        source=f"{len(FORMS)} forms, {len(OPENINGS)} openings, {len(NAMES)} names, filled at random",
        note="Test sentences use pairs of names that no training sentence has.",
    )


def make_rows(
    pairs: list[tuple[str, str]], n: int, tokenizer: WordTokenizer, random: torch.Generator
) -> tuple[Int[Tensor, "row pos"], Int[Tensor, "row pos"]]:
    """Generate sentences, padded with `^` on the left, and targets that score the last word."""
    ids, begin = tokenizer.ids, tokenizer.ids[BEGIN]
    inputs = torch.full((n, LENGTH), begin)
    targets = torch.full((n, LENGTH), UNSCORED)
    draws = torch.randint(2**31, (n, 8), generator=random).tolist()
    for row, draw in enumerate(draws):
        pair = pairs[draw[0] % len(pairs)]
        (a, b), subject = (pair if draw[1] % 2 else pair[::-1]), draw[2] % 2
        opening, form = OPENINGS[draw[3] % len(OPENINGS)], FORMS[draw[4] % len(FORMS)]
        text = f"{opening} {form[0].lower() if opening else form[0]}{form[1:]}".format(
            a=a, b=b, s=(a, b)[subject], place=PLACES[draw[5] % len(PLACES)], gave=VERBS[draw[6] % len(VERBS)],
            thing=THINGS[draw[7] % len(THINGS)],
        )  # fmt: skip
        sentence = [ids[word] for word in text.split()]
        inputs[row, -len(sentence) :] = torch.tensor(sentence)
        targets[row, -1] = ids[(b, a)[subject]]
    return inputs, targets


def swap_subject(rows: Rows, random: torch.Generator, n_names: int) -> Rows:
    """Replace the subject by the other name, which changes the answer."""
    other = rows.clone()
    for row in other:
        places = ((row >= 1) & (row <= n_names)).nonzero().flatten()
        if len(places) == 3:
            first, second, subject = places.tolist()
            row[subject] = row[second] if row[subject] == row[first] else row[first]
    return other
