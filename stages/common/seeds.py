"""Independent seeds for the random choices of a stage."""

import hashlib


def derive_seed(*parts) -> int:
    """A seed in [0, 2³²) that depends on every one of `parts` (numbers and words), and on nothing
    else: the first four bytes of the SHA-256 of how Python writes them."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")
