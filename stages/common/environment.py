"""What results depend on besides code, data and parameters: settings and package versions.

To import it drops settings from outside; `check` refuses the rest.
"""

import os
import sys
from importlib.metadata import distributions
from pathlib import Path

VERSIONS = Path("versions.txt")

# TensorFlow, XLA, oneDNN and Keras read these when they start, which is later.
DROPPED = ("DNNL_", "KERAS_", "ONEDNN_", "TF", "XLA_")
# NumPy reads these when it is imported, which may be before this module.
REFUSED = ("NPY_", "OPENBLAS_")

for name in list(os.environ):
    if name.startswith(DROPPED):
        del os.environ[name]
os.environ["KERAS_HOME"] = os.devnull  # a user's keras.json can change the type of numbers
# Failures reach us as exceptions; what is logged besides is about hardware that is not used.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def check() -> None:
    """End the process if a setting or a package could change results.

    The packages are those of versions.txt, a line `name==version` for each.
    """
    for name in os.environ:
        if name.startswith(REFUSED):
            sys.exit(f"error: the environment variable {name} can change results; unset it")
    for line in VERSIONS.read_text(encoding="utf-8").split():
        package, wanted = line.split("==")
        installed = next((found.version for found in distributions(name=package)), "none")
        if installed != wanted:
            sys.exit(
                f"error: {package} {installed} is installed, but {VERSIONS} says {wanted}; "
                "install it with make environment, or run make lock to move to other versions"
            )
