"""TensorFlow and Keras, set up so that the same inputs give the same bytes."""

import contextlib
import hashlib
import os
import sys
from importlib.metadata import distributions
from pathlib import Path

VERSIONS = Path("versions.txt")

# TensorFlow, XLA, oneDNN and Keras read these; some of them change results. Keras imports
# Matplotlib, which ends with an error where a notebook has set its backend.
DROPPED = ("DNNL_", "KERAS_", "MATPLOTLIBRC", "MPL", "ONEDNN_", "TF", "XLA_")

for _name in list(os.environ):
    if _name.startswith(DROPPED):
        del os.environ[_name]
os.environ["KERAS_HOME"] = os.devnull  # a user's keras.json can change the type of numbers
# By itself, TensorFlow uses oneDNN only where the processor has AVX-512.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
# Failures reach us as exceptions; what is logged besides is about hardware that is not used.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


@contextlib.contextmanager
def silence():
    """Discard what is written to the standard error stream, by C++ code too."""
    stderr = os.dup(2)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


with silence():  # TensorFlow greets before it reads its log level
    import keras
    import tensorflow as tf


def set_up(seed: int, threads: int) -> None:
    """Fix what results depend on, before anything is computed.

    Package versions, the processor, the number of threads, deterministic operations, and the
    seed from which Keras draws initial weights and dropout.
    """
    check_versions()
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)


def check_versions() -> None:
    """End the process if a package has another version than versions.txt says.

    That file has a line `name==version` for each package that computes.
    """
    for line in VERSIONS.read_text(encoding="utf-8").split():
        package, wanted = line.split("==")
        installed = next((found.version for found in distributions(name=package)), "none")
        if installed != wanted:
            sys.exit(
                f"error: {package} {installed} is installed, but {VERSIONS} says {wanted}; "
                "install it with make environment, or run make lock to move to other versions"
            )


def derive_seed(*parts) -> int:
    """Derive a seed in [0, 2³²) from numbers and words.

    It is the first four bytes of the SHA-256 of how Python writes `parts`.
    """
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")


__all__ = ["check_versions", "derive_seed", "keras", "set_up", "tf"]
