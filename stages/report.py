"""Tell the study with this run's numbers, each published one beside it."""

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from common import dataset, environment
from common.cells import Factor, Replicate, name_cell
from common.parameters import Parameters, several
from common.results import write_csv, write_json
from page import charts, figures, findings
from page.figures import FOLDER
from page.networks import playground, read_network
from page.render import render

STAGES = ("train_mlp", "train_cnn", "train_ae")
NETWORKS = ("mlp", "cnn", "autoencoder")
# The names that tools/verify.py gives to the metrics of eval_noise.
EVALUATION = r"eval_noise.json:cnn\.level_(?P<noise_level>[\d.]+)\.(?P<kind>\w+)$"


class GridParameters(Parameters, section="sweep_l2.grid"):
    """Hold the cells of the sweep."""

    factors: several(Factor)
    replicates: several(Replicate)

    def cells(self) -> list[tuple]:
        """List factor and replicate of each cell."""
        return list(itertools.product(self.factors, self.replicates))


def read_json(path: str) -> dict:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_cells(grid: GridParameters) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the sweep: a row for each training, and a row for each of their epochs."""
    cells, histories = [], []
    for factor, replicate in grid.cells():
        name = name_cell(factor, replicate)
        cells.append(read_json(f"metrics/sweep_l2/{name}.json"))
        history = pd.read_csv(f"plots/sweep_l2/{name}.csv")
        histories.append(history.assign(factor=factor, replicate=replicate))
    return pd.DataFrame(cells), pd.concat(histories)


def read_seeds(numbers: pd.DataFrame) -> pd.DataFrame:
    """Read what other seeds gave for published `numbers`: metric (its name), seed, value."""
    seeds = pd.read_csv("measured/seeds.csv", dtype={"metric": str, "value": float})
    names = dict(zip(numbers.file + ":" + numbers.key, numbers["name"], strict=True))
    return seeds.assign(metric=seeds.metric.map(names)).dropna(subset="metric")


def read_robust() -> pd.DataFrame:
    """Read the rates of the network that trained on noise: seed, noise_level, kind, rate."""
    table = pd.read_csv("measured/robust.csv")
    place = table.metric.str.extract(EVALUATION)
    place["noise_level"] = place.noise_level.astype(float)
    return place.assign(seed=table.seed, rate=table.value).dropna()


def remove_other_cells(grid: GridParameters) -> None:
    """Remove the files of cells that have left the grid; DVC's cache keeps them."""
    names = {name_cell(*cell) for cell in grid.cells()}
    for pattern in "metrics/sweep_l2/*.json", "plots/sweep_l2/*.csv":
        for path in Path().glob(pattern):
            if path.stem not in names:
                path.unlink()


def read_run(grid: GridParameters) -> SimpleNamespace:
    """Read what the stages left, and what was published; tables as in their files."""
    parameters = YAML(typ="safe").load(Path("params.yaml"))  # as DVC does: 1e-5 is a number
    del parameters["fetch"]  # has no influence: whatever the source, the same bytes
    cells, sweep_histories = read_cells(grid)
    images, labels = dataset.load("test")
    numbers = pd.read_csv("published/numbers.csv")
    metrics = [f"metrics/{name}.json" for name in ("preprocess", *STAGES)]
    return SimpleNamespace(
        parameters=parameters,
        versions=pd.read_csv(
            environment.VERSIONS, sep="==", names=["package", "version"], engine="python"
        ),
        metrics={path: read_json(path) for path in metrics},
        histories={name: pd.read_csv(f"plots/{name}/history.csv") for name in STAGES},
        logs={path.stem: pd.read_csv(path) for path in Path("published").glob("*_history*.csv")},
        numbers=numbers,
        notebook=pd.read_csv("published/notebook_rerun_noise.csv", index_col="noise_level"),
        seeds=read_seeds(numbers),
        robust=read_robust(),
        cells=cells,
        sweep_histories=sweep_histories,
        counts=pd.read_csv("plots/eval_noise/rates.csv"),
        reconstruction=pd.read_csv("plots/eval_noise/reconstruction.csv"),
        examples=pd.read_csv("plots/eval_noise/examples.csv"),
        pixels=np.load("plots/eval_noise/pixels.npy"),
        predictions=pd.read_csv("plots/train_cnn/predictions.csv"),
        test_images=images,
        test_labels=labels,
        networks={name: read_network(Path(f"models/{name}.keras")) for name in NETWORKS},
    )


def main(parameters: GridParameters) -> None:
    environment.check()
    remove_other_cells(parameters)
    run = read_run(parameters)
    found = findings.find(run)
    write_json("metrics/report.json", found["metrics"])
    for name, table in findings.tabulate(run, found).items():
        write_csv(FOLDER / f"{name}.csv", table)
    found["charts"] = charts.specify(run, found)
    drawings = figures.draw(found)
    cnn = "CNN, trained on noise" if found["trained"] else "CNN"
    classifiers = {"Perceptron": run.networks["mlp"], cnn: run.networks["cnn"]}
    denoiser = run.networks["autoencoder"]
    found["playground"] = playground(classifiers, denoiser, run.test_images, run.test_labels)
    plain, page = render(found, drawings)
    Path("report.md").write_text(plain, encoding="utf-8")
    Path("report.html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    GridParameters.run(main, __doc__)
