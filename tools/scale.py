"""What DVC and Dask cost when the sweep grows: seconds for each cell, trainings apart.

Copies the committed project into a temporary folder, puts a script that writes its two files at
once in the place of `stages/sweep_l2.py`, and runs sweeps of more and more cells. Needs the
processed data in DVC's cache: `dvc repro preprocess`.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
REPLICATES = 3
INSTANT = """
import pathlib, sys
words = sys.argv[1:]
name = f"{words[words.index('--factor') + 1]}-{words[words.index('--replicate') + 1]}"
for path in f"plots/sweep_l2/{name}.csv", f"metrics/sweep_l2/{name}.json":
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(name)
"""


def seconds(folder: Path, *command) -> float:
    """How long `command` takes in `folder`."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def measure(cells: int, *command) -> tuple[float, float]:
    """Seconds of the `command` that runs a sweep of `cells` instant cells, and of its repetition,
    which finds nothing to do."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "study")
        subprocess.run(["git", "clone", "--quiet", "--no-local", ROOT, folder], check=True)
        seconds(folder, "dvc", "cache", "dir", "--local", ROOT / ".dvc" / "cache")
        seconds(folder, "dvc", "checkout", "--quiet", "preprocess")
        # A cache of its own for what follows: nothing of it may come from an earlier measurement.
        seconds(folder, "dvc", "cache", "dir", "--local", Path(name, "cache"))
        (folder / "stages" / "sweep_l2.py").write_text(INSTANT)
        parameters = yaml.safe_load((folder / "params.yaml").read_text())
        factors = [round(1e-6 * (1 + index), 6) for index in range(cells // REPLICATES)]
        grid = {"factors": factors, "replicates": list(range(1, REPLICATES + 1))}
        parameters["sweep_l2"]["grid"] = grid
        (folder / "params.yaml").write_text(yaml.safe_dump(parameters))
        return seconds(folder, *command), seconds(folder, *command)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[15, 60, 240])
    arguments = parser.parse_args()
    script = seconds(Path.cwd(), sys.executable, "-c", "pass")
    print(f"{script:.2f} s of each cell are Python's start")
    print("| cells | run by | s per cell | s with nothing to do |")
    print("| --- | --- | --- | --- |")
    ways = {
        "dvc repro": ["dvc", "repro", "sweep_l2"],
        "make repro, 1 worker": ["python", "tools/repro.py", "--workers", "1", "sweep_l2"],
        "make repro, 2 workers": ["python", "tools/repro.py", "--workers", "2", "sweep_l2"],
    }
    for cells in arguments.cells:
        for way, command in ways.items():
            ran, idle = measure(cells, *command)
            print(f"| {cells} | {way} | {ran / cells:.2f} | {idle:.1f} |", flush=True)


if __name__ == "__main__":
    main()
