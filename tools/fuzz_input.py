"""Input of `make fuzz` that nothing made: bytes that were damaged, values that were invented."""

import random
import struct
from typing import Any

NUMBERS = [0, 1, -1, 2, 0.5, 1e300, -1e300, 1e-320, float("nan"), float("inf"), 10**400, 2**31, 2**63, 640, 480, 500.0]
WORDS = ["", "a", "K", "width", "height", "k", "d", "plumb_bob", "fisheye", "x" * 300, "\0", "é", "../a", "1"]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed, cut, doubled or overwritten, the head more often than the rest."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if not changed:
            break
        place = rng.randrange(min(len(changed), rng.choice((64, 512, len(changed)))))
        kind = rng.randrange(5)
        if kind <= 1:
            changed[place] = rng.randrange(256)
        elif kind == 2:
            changed[place : place + 4] = struct.pack(
                rng.choice("<>") + "I", rng.choice((0, 1, 2**31, 2**32 - 1, 65535))
            )
        elif kind == 3:
            del changed[place : place + rng.choice((1, 7, 300, 10**9))]
        else:
            changed[place:place] = changed[: rng.randrange(200)]
    return bytes(changed)


def invented(rng: random.Random, depth: int = 0) -> Any:
    """A value as JSON has it."""
    kind = rng.randrange(8 if depth < 5 else 4)
    if kind <= 1:
        return rng.choice(NUMBERS)
    if kind == 2:
        return rng.choice(WORDS)
    if kind == 3:
        return rng.choice((None, True, [], {}))
    if kind <= 5:
        return [invented(rng, depth + 1) for _ in range(rng.choice((0, 1, 3, 4, 9)))]
    return {rng.choice(WORDS): invented(rng, depth + 1) for _ in range(rng.randrange(5))}


def changed_value(value: Any, rng: random.Random) -> Any:
    """A document with one value replaced or taken out."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        rest = {k: v for k, v in value.items() if k != key}
        return rest if rng.random() < 0.1 else {**rest, key: changed_value(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = rng.randrange(len(value))
        return [*value[:place], changed_value(value[place], rng), *value[place + 1 :]]
    return invented(rng, 3)
