"""One seed for everything random, split into independent streams by label."""

import hashlib
import random

import numpy as np
import torch


def derived_seed(seed: int, *labels: object) -> int:
    """A 63-bit seed for one labelled stream, so that two uses of one seed never share numbers."""
    text = "/".join(map(str, (seed, *labels)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *labels: object) -> torch.Generator:
    """A torch generator for one labelled stream of `seed`."""
    return torch.Generator().manual_seed(derived_seed(seed, *labels))


def seed_everything(seed: int) -> torch.Generator:
    """Seeds Python, NumPy and torch; gymnasium takes the same `seed` in `env.reset(seed=seed)`."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    return torch.manual_seed(seed)
