"""Seeds that depend on what is drawn for, never on order, batch or process."""

import hashlib


def derived_seed(*parts: object) -> int:
    """Seed in [0, 2^63) that is the same for the same parts on every machine, and unrelated for any others."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def uniform_draw(*parts: object) -> float:
    """Uniform number in [0, 1), fixed by the parts as in :func:`derived_seed`."""
    return (derived_seed(*parts) >> 10) / 2**53
