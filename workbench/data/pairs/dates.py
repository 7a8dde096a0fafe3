"""Dates in everyday notation and in ISO 8601: `Monday, 12 March 1984` is `1984-03-12`."""

from __future__ import annotations

from datetime import date, timedelta

import torch

from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.pairs.pair_data import PairData, encode_pairs
from workbench.data.pairs.pair_tokenizer import PairTokenizer

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FORMS = (
    "{day} {month} {year}",
    "{month} {day}, {year}",
    "{day} {month:.3} {year}",
    "{weekday}, {day} {month} {year}",
    "{day}.{number}.{year}",
)
FIRST, LAST = date(1900, 1, 1), date(2099, 12, 31)
ISO = tuple("0123456789-")
N_TEST, N_VALIDATION = 5000, 1000


@DATASETS.register("dates")
def dates() -> PairData:
    """Every day of 200 years in one of five notations; the 5,000 test days occur in no training row."""
    days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    random = generator(0, "dates")
    order = torch.randperm(len(days), generator=random).tolist()
    forms = torch.randint(len(FORMS), (len(days),), generator=random).tolist()
    texts = [(format_date(days[i], FORMS[form]), days[i].isoformat()) for i, form in zip(order, forms, strict=True)]
    letters = tuple(sorted({letter for source, _ in texts for letter in source}))
    tokenizer = PairTokenizer(letters, ISO, joined=True)
    held = N_TEST + N_VALIDATION
    parts = texts[held:], texts[N_TEST:held], texts[:N_TEST]
    return PairData(
        "dates",
        tokenizer,
        *(encode_pairs(part, tokenizer) for part in parts),
        source=f"{len(days)} days from {FIRST} to {LAST}, in {len(FORMS)} forms",
        note="Split by day.",
    )


def format_date(day: date, form: str) -> str:
    """Write a day in one of the notations."""
    return form.format(
        day=day.day, month=MONTHS[day.month - 1], number=day.month, year=day.year, weekday=WEEKDAYS[day.weekday()]
    )
