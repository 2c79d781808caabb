"""TensorFlow, set up so that the same inputs give the same bytes."""

import contextlib
import gc
import os

# Failures reach us as exceptions; what is logged besides is about hardware that is not used.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextlib.contextmanager
def _quiet():
    """Discard what libraries write to the standard error stream, below Python."""
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


# What is imported stays. To look through its half million objects again and again, for some that
# do not, takes Python a quarter of the time in which a stage starts.
gc.disable()
with _quiet():  # before its log level takes effect, TensorFlow prints notices all the same
    import keras
    import tensorflow as tf
gc.freeze()
gc.enable()


def set_up(seed: int, threads: int) -> None:
    """Fix what results depend on: the processor, the number of threads, the ways of computing,
    and the seed that Keras draws initial weights and dropout from. Call it before any of it."""
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
