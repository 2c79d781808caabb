"""The report: numbers, words, figures and the page.

Whatever a user has set for Matplotlib has no influence on figures, and stops nothing.
"""

import importlib.util
import logging
import os
from pathlib import Path

# It says when it cannot keep its list of fonts; then it makes the list anew.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
# It reads the first matplotlibrc that it finds, and looks into the current folder first: so it is
# imported in the folder of its own.
_here = Path.cwd()
os.chdir(Path(importlib.util.find_spec("matplotlib").origin).parent / "mpl-data")
importlib.import_module("matplotlib")
os.chdir(_here)
