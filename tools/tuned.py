"""Run the study with another recipe, as a DVC experiment and a branch of the same name.

The stages run side by side in a copy of the last commit, as `make repro` runs them; then
`dvc exp run` takes the results from DVC's cache. The working tree stays as it is.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "recipes" / "tuned.yaml"


def overrides(recipe: dict, prefix: str = "") -> list[str]:
    """The values of the nested `recipe` as `dvc exp run --set-param` takes them:
    "section.name=value"."""
    words = []
    for name, value in recipe.items():
        if isinstance(value, dict):
            words += overrides(value, f"{prefix}{name}.")
        else:
            words.append(f"{prefix}{name}={value}")
    return words


def git(*words: str) -> str:
    command = ["git", *words]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def run(name: str, changes: list[str]) -> int:
    """Run the study with `changes` to params.yaml; make experiment and branch `name` of it."""
    if git("for-each-ref", f"refs/heads/{name}", f"refs/exps/*/*/{name}"):
        sys.exit(
            f"error: there is a branch or an experiment {name}; give this run another name "
            f"(--name), or remove that: git branch -D {name}; dvc exp remove {name}"
        )
    if git("status", "--porcelain", "--untracked-files=no"):
        sys.exit("error: an experiment starts from a commit: git commit what you changed, first")
    repo = Repo(str(ROOT))
    with tempfile.TemporaryDirectory(prefix="tuned-", dir=repo.tmp_dir) as folder:
        git("clone", "--quiet", "--shared", str(ROOT), folder)
        cache = ["dvc", "cache", "dir", "--quiet", "--local", repo.cache.local_cache_dir]
        subprocess.run(cache, cwd=folder, check=True)
        try:
            apply_overrides(Path(folder, "params.yaml"), changes)
        except DvcException as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            sys.exit(f"error: --set or {RECIPE.relative_to(ROOT)}: {reason}")
        code = subprocess.run([sys.executable, "tools/repro.py"], cwd=folder).returncode
    given = [word for change in changes for word in ("--set-param", change)]
    for command in (
        ["dvc", "exp", "run", "--temp", "--name", name, *given],
        ["dvc", "exp", "branch", name, name],
        ["dvc", "params", "diff", "HEAD", name],
        ["dvc", "metrics", "diff", "HEAD", name],
    ):
        code = code or subprocess.run(command, cwd=ROOT).returncode
    return code


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="tuned", help="of the experiment and the branch")
    parser.add_argument("--only", nargs="+", metavar="SECTION", help="of the recipe, not all")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="SECTION.NAME=VALUE", help="besides the recipe"
    )
    arguments = parser.parse_args()
    recipe = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    sections = recipe.keys() if arguments.only is None else arguments.only
    if not recipe.keys() >= set(sections):
        parser.error(f"--only: the recipe has the sections {', '.join(recipe)}")
    changes = overrides({section: recipe[section] for section in sections})
    try:
        return run(arguments.name, changes + arguments.set)
    except KeyboardInterrupt:
        sys.exit(
            "error: interrupted; what was finished is kept: the same command goes on from there"
        )


if __name__ == "__main__":
    sys.exit(main())
