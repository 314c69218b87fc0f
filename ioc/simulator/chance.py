"""Chance without state: a number that depends only on a key and a salt (SplitMix64), for one case or for an array.

A random generator that is advanced has to be replayed after a restart; a hash has not.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist
from typing import TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_NORMAL = NormalDist()


def mix(x: int) -> int:
    """Return the 64-bit hash of a 64-bit number (the finaliser of SplitMix64)."""
    x = (x + _GOLDEN) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def mix_all(x: Keys) -> Keys:
    """`mix` for an array; the same numbers."""
    x = x + np.uint64(_GOLDEN)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@cache
def salt_number(salt: str) -> int:
    """Return the number a salt stands for; the same on every machine."""
    return mix(crc32(salt.encode()))


def key_of(seed: int, *names: str | int) -> int:
    """Return the key of something named inside the story of `seed`."""
    key = mix(seed & _MASK)
    for name in names:
        key = mix(key ^ (name & _MASK if isinstance(name, int) else salt_number(name)))
    return key


def unit(key: int, salt: str) -> float:
    """Return a number in [0, 1)."""
    return (mix(key ^ salt_number(salt)) >> 11) * 2.0**-53


def unit_all(keys: Keys, salt: str) -> Floats:
    """`unit` for an array; the same numbers."""
    return (mix_all(keys ^ np.uint64(salt_number(salt))) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def below(key: int, salt: str, n: int) -> int:
    """Return a whole number in [0, n)."""
    return int(unit(key, salt) * n)


def pick(key: int, salt: str, choices: Sequence[T]) -> T:
    """Return one of `choices`, each as likely as the other."""
    return choices[int(unit(key, salt) * len(choices))]


def weighted(key: int, salt: str, choices: Sequence[T], cumulated: Sequence[float]) -> T:
    """Return one of `choices` by cumulated weights (the last is the sum)."""
    return choices[min(bisect_right(cumulated, unit(key, salt) * cumulated[-1]), len(choices) - 1)]


def normal(key: int, salt: str) -> float:
    """Return a number of the normal distribution (mean 0, deviation 1), within ±4."""
    return _NORMAL.inv_cdf(min(max(unit(key, salt), 3.2e-5), 1 - 3.2e-5))


def poisson(mean: float, key: int, salt: str) -> int:
    """Return a count of the Poisson distribution; above a mean of 50 its normal approximation."""
    if mean <= 0:
        return 0
    if mean > 50:
        return max(0, round(mean + math.sqrt(mean) * normal(key, salt)))
    u, n = unit(key, salt), 0
    term = total = math.exp(-mean)
    while u > total and n < 200:
        n += 1
        term *= mean / n
        total += term
    return n
