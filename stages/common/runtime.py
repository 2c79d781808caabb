"""TensorFlow and Keras, set up so that the same inputs give the same bytes."""

import functools
import gc
import hashlib
import importlib
import os

from common import environment


class LazyModule:
    """A module that is imported at its first use.

    TensorFlow takes three seconds; --help and a refused parameter need not wait for it.
    """

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str):
        return getattr(_import(self._name), attribute)


@functools.cache
def _import(name: str):
    """Import a module, but discard what it writes to the standard error stream."""
    # Frequent garbage collection during the import costs a quarter of the start-up time.
    gc.set_threshold(100_000)
    stderr = os.dup(2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        return importlib.import_module(name)
    finally:
        os.dup2(stderr, 2)


keras = LazyModule("keras")
tf = LazyModule("tensorflow")


def set_up(seed: int, threads: int) -> None:
    """Fix what results depend on, before anything is computed.

    Package versions, the processor, the number of threads, deterministic operations, and the
    seed from which Keras draws initial weights and dropout.
    """
    environment.check()
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)


def derive_seed(*parts) -> int:
    """Derive a seed in [0, 2³²) from numbers and words.

    It is the first four bytes of the SHA-256 of how Python writes `parts`.
    """
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")
