"""The elements of inputs, which every contender makes the same (docs/generator.md), and how types are stored."""

import numpy as np

from worker.errors import Unsupported

CHUNK = 1 << 18  # elements made at once when inputs are filled

# --- SplitMix64's output function over a counter ----------------------------------------------------

GAMMA = 0x9E3779B97F4A7C15
WORD = (1 << 64) - 1


def mix(z):
    """The output function, for an array of uint64 (which wraps by itself) or a Python integer below 2^64."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


def bits(seed, value, first, count):
    """64 random bits for each of the elements `first` .. `first + count` of value number `value`."""
    key = mix((seed + (value + 1) * GAMMA) & WORD)
    index = np.arange(first + 1, first + 1 + count, dtype=np.uint64)
    return mix(np.uint64(key) + index * np.uint64(GAMMA))


def fill(array, how, seed, value):
    """Fills `array` with the elements of value number `value`."""
    flat = array.reshape(-1)
    for first in range(0, flat.size, CHUNK):
        part = flat[first : first + CHUNK]
        unit = (bits(seed, value, first, part.size) >> np.uint64(40)).astype(np.float64) / float(1 << 24)
        if how["fill"] == "uniform":
            made = how["low"] + (how["high"] - how["low"]) * unit
        elif how["fill"] == "places":
            index = np.arange(first, first + part.size, dtype=np.int64)
            made = how["first"] + index // how["run"] * how["stride"] + index % how["run"]
        else:
            made = how["low"] + np.floor(unit * (float(how["high"]) - float(how["low"]) + 1.0))
        store(made, part)


def check_generator():
    """The published vectors: SplitMix64 from state 0, and three elements of three values."""
    state = np.arange(1, 4, dtype=np.uint64) * np.uint64(GAMMA)
    wanted = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert [int(x) for x in mix(state)] == wanted, "the generator is broken"
    for (seed, value, index), want in VECTORS.items():
        assert int(bits(seed, value, index, 1)[0]) == want, "the generator is broken"


VECTORS = {
    (0, 0, 0): 0xA706DD2F4D197E6F,
    (7, 3, 1000000): 0x8BD04F52FDFCC383,
    (WORD, 1 << 32, 12345678901): 0x5736C2D054E5FD25,
}

# --- elements ---------------------------------------------------------------------------------------


def storage(dtype):
    """The numpy type that holds elements of `dtype`; bf16 as its 16 bits."""
    names = {"f64": "f8", "f32": "f4", "f16": "f2", "bf16": "u2", "i32": "i4", "i8": "i1", "u8": "u1"}
    if dtype not in names:
        raise Unsupported(f"this worker holds no values in {dtype}")
    return np.dtype("<" + names[dtype])


def to_bf16(values):
    """The 16 bits of each f32 rounded to bf16, to nearest even."""
    word = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = ((word + (np.uint32(0x7FFF) + ((word >> 16) & np.uint32(1)))) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)


def store(values, array):
    """Rounds `values` into `array`, whose uint16 elements mean bf16."""
    if array.dtype == np.float16:
        values = values.astype(np.float32)  # the generator rounds 16-bit types from f32
    array[...] = to_bf16(values) if array.dtype == np.uint16 else values.astype(array.dtype)


def spoil(array):
    """An element that nobody writes will show."""
    if array.dtype == np.uint16:
        array.fill(0x7FC0)
    elif array.dtype.kind == "f":
        array.fill(np.nan)
    else:
        array.fill(np.iinfo(array.dtype).min)
