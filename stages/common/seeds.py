"""Independent seeds for the random choices of a stage."""

import hashlib


def derive_seed(*parts) -> int:
    """Derive a seed in [0, 2³²) from numbers and words.

    It is the first four bytes of the SHA-256 of how Python writes `parts`.
    """
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")
