"""State of a NumPy generator as an array, for checkpoints."""

import numpy as np

WORD = 2**64


def generator_words(rng: np.random.Generator) -> np.ndarray:
    """Return the state of a PCG64 generator as six 64-bit words."""
    state = rng.bit_generator.state
    long = state["state"]["state"], state["state"]["inc"]
    words = [part for number in long for part in divmod(number, WORD)]
    return np.array([*words, state["has_uint32"], state["uinteger"]], dtype=np.uint64).view(np.int64)


def generator_from_words(words: np.ndarray) -> np.random.Generator:
    """Restore a generator from `generator_words`."""
    high, low, inc_high, inc_low, has_uint32, uinteger = map(int, words.view(np.uint64))
    bits = np.random.PCG64()
    bits.state = {
        "bit_generator": "PCG64",
        "state": {"state": high * WORD + low, "inc": inc_high * WORD + inc_low},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }
    return np.random.Generator(bits)
