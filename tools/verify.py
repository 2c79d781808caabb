"""Show that the committed results were computed by the committed code: retrain and compare.

Clones the committed state into a temporary folder, runs it there from nothing, with no cache to
take results from, and compares the hash of every output with the one in the committed dvc.lock.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml


def outputs(lock: str, stages: set[str] | None = None) -> dict[str, str]:
    """Path and hash of each output in the text of a dvc.lock, of `stages` or of all."""
    return {
        out["path"]: out["md5"]
        for name, stage in yaml.safe_load(lock)["stages"].items()
        if stages is None or name in stages
        for out in stage["outs"]
    }


def numbers(value, name: str = "") -> dict[str, float]:
    """The numbers in nested dictionaries, under their dotted names."""
    if isinstance(value, dict):
        parts = (numbers(inner, f"{name}.{key}".strip(".")) for key, inner in value.items())
        return {key: number for part in parts for key, number in part.items()}
    return {name: value} if isinstance(value, int | float) else {}


def largest_difference(committed: str, computed: str) -> str:
    """In words, where two JSON metrics files differ most."""
    before, after = numbers(json.loads(committed)), numbers(json.loads(computed))
    if before.keys() != after.keys():
        return "other metrics"
    if not before:
        return "no numbers"
    name = max(before, key=lambda key: abs(after[key] - before[key]))
    return f"most in {name}: {before[name]} committed, {after[name]} computed"


def verify(root: Path, target: str | None) -> bool:
    """Retrain what is committed in `root`, all of it or the stage `target` with all that comes
    before it, print a line for each output compared, and return whether all are the same."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", "--no-local", root, clone], check=True)
        committed = (clone / "dvc.lock").read_text()
        if target and target not in yaml.safe_load(committed)["stages"]:
            sys.exit(f"error: verify: {target} is no stage; `dvc stage list` names them")
        # Metrics and plots are in the clone: without force they would count as made.
        command = ["dvc", "repro", "--force", "--no-run-cache", *([target] if target else [])]
        if subprocess.run(command, cwd=clone).returncode:
            sys.exit("error: verify: the run failed; its reason stands above")
        computed = outputs((clone / "dvc.lock").read_text())
        same = True
        for path, digest in outputs(committed, {target} if target else None).items():
            if computed.get(path) == digest:
                print(f"same     {path}")
                continue
            same = False
            before = subprocess.run(
                ["git", "show", f"HEAD:{path}"], cwd=clone, capture_output=True, text=True
            )
            detail = ""
            if path.endswith(".json") and before.returncode == 0:
                detail = f"  {largest_difference(before.stdout, (clone / path).read_text())}"
            print(f"differs  {path}{detail}")
        return same


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", help="only this stage, after those that it depends on")
    arguments = parser.parse_args()
    sys.exit(0 if verify(Path(__file__).parent.parent, arguments.stage) else 1)
