"""What running a stage costs besides its work, as the sweep grows: seconds for each cell.

Clones the last commit into a temporary folder, lets `stages/sweep_l2.py` write its two files
without training, and runs sweeps of more and more cells. Needs the processed data in DVC's
cache: `dvc repro preprocess`.
"""

import argparse
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
REPLICATES = 3
# In the place of what comes after the class of its parameters.
INSTANT = """
def main(parameters: CellParameters) -> None:
    from pathlib import Path

    name = f"{parameters.factor}-{parameters.replicate}"
    for path in f"plots/sweep_l2/{name}.csv", f"metrics/sweep_l2/{name}.json":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(name)


if __name__ == "__main__":
    CellParameters.run(main, __doc__)
"""


def seconds(folder: Path, *command) -> float:
    """How long `command` takes in `folder`."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - start


def prepare(folder: Path, cells: int) -> None:
    """Clone the project into `folder`, with the processed data, a cache that holds nothing
    else, and a sweep of `cells` cells that do nothing."""
    seconds(ROOT, "git", "clone", "--quiet", "--no-local", ROOT, folder)
    seconds(folder, "dvc", "cache", "dir", "--local", ROOT / ".dvc" / "cache")
    seconds(folder, "dvc", "checkout", "--quiet", "fetch", "preprocess")
    seconds(folder, "dvc", "cache", "dir", "--local", "--unset")
    seconds(folder, "dvc", "commit", "--quiet", "fetch", "preprocess")
    script = folder / "stages" / "sweep_l2.py"
    text = script.read_text()
    script.write_text(text[: text.index("def build(")] + INSTANT)
    parameters = yaml.safe_load((folder / "params.yaml").read_text())
    parameters["sweep_l2"]["grid"] = {
        "factors": [(1 + index) / 1000 for index in range(cells // REPLICATES)],
        "replicates": list(range(1, REPLICATES + 1)),
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(parameters, sort_keys=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[15, 60, 240])
    arguments = parser.parse_args()
    print("| cells | run by | s per cell | s with nothing to do |")
    print("| --- | --- | --- | --- |")
    ways = {
        "`dvc repro`": ["dvc", "repro", "sweep_l2"],
        "1 worker": ["python", "tools/repro.py", "--workers", "1", "sweep_l2"],
        "2 workers": ["python", "tools/repro.py", "--workers", "2", "sweep_l2"],
    }
    for cells in arguments.cells:
        with tempfile.TemporaryDirectory() as name:
            nothing_run = Path(name, "nothing run")
            prepare(nothing_run, cells)
            for number, (way, command) in enumerate(ways.items()):
                folder = Path(name, str(number))
                shutil.copytree(nothing_run, folder)
                ran, idle = seconds(folder, *command), seconds(folder, *command)
                print(f"| {cells} | {way} | {ran / cells:.2f} | {idle:.1f} |", flush=True)


if __name__ == "__main__":
    main()
