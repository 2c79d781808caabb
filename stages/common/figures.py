"""How every PNG looks, and how it is written: the same figure always gives the same bytes."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draws without a display
import matplotlib.pyplot as plt

# Okabe and Ito's palette, made to be told apart with any kind of colour vision.
# Source: https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#767676"

plt.rcParams.update(
    {
        "figure.dpi": 150,
        "figure.figsize": (7, 4.2),
        "figure.constrained_layout.use": True,
        "font.size": 10,
        "axes.grid": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.alpha": 0.3,
        "legend.frameon": False,
    }
)


def save(figure: plt.Figure, path) -> None:
    """Write `figure` to `path` as PNG, without the version and date Matplotlib would add."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)
