"""What several stages share. A failure that a user causes ends a stage in one line."""

import sys
from pathlib import Path

TOO_SMALL = (
    "the images are too small for so many layers: leave one out, or give the convolutions "
    'padding="same"'
)


def explain_failure(kind, error, traceback) -> None:
    """Print one line for an interruption, or a file that cannot be read or written."""
    stage = Path(sys.argv[0]).stem
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write(f"error: {stage}: interrupted; repeat the command\n")
    elif issubclass(kind, OSError):
        where = f"{error.filename}: " if error.filename else ""
        reason = f"{where}{error.strerror or error}"
        sys.stderr.write(f"error: {stage}: {reason}; correct that, then repeat the command\n")
    elif "output size would be negative" in str(error):  # Keras says it while a network is built
        sys.stderr.write(f"error: {stage}: {TOO_SMALL}\n")
    else:
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = explain_failure
