"""Random generators derived from one seed, with an independent stream for each label."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def derived_seed(seed: int, *labels: object) -> int:
    """Derive a 63-bit seed for one labelled stream, so that two uses of one seed have independent numbers."""
    text = "/".join(map(str, (seed, *labels)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *labels: object) -> torch.Generator:
    """Create a torch generator for one labelled stream of `seed`."""
    return torch.Generator().manual_seed(derived_seed(seed, *labels))


def seed_everything(seed: int) -> torch.Generator:
    """Seed Python, NumPy and torch. Gymnasium takes the same `seed` in `env.reset(seed=seed)`."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    return torch.manual_seed(seed)


@contextmanager
def fixed_noise(seed: int) -> Iterator[None]:
    """Seed Python, NumPy and torch while the context lasts, and restore their generators afterwards."""
    before = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(enabled=True):
        seed_everything(seed)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])


def noise_state() -> tuple[object, ...]:
    """Return the state of the generators of Python, NumPy and torch, for comparison."""
    numpy_state: Any = np.random.get_state(legacy=False)
    inner = numpy_state["state"]
    return random.getstate(), inner["key"].tobytes(), inner["pos"], torch.get_rng_state().numpy().tobytes()
