"""What the report rests on: a run, the published study, other seeds."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from common.rates import KINDS

NAMES = {"mlp": "perceptron", "cnn": "convolutional network", "autoencoder": "autoencoder"}
SECTIONS = {"mlp": "train_mlp", "sweep": "sweep_l2", "cnn": "train_cnn", "autoencoder": "train_ae"}
NOT_OF_A_RECIPE = ("seed", "training.seed", "grid.replicates")


@dataclass(frozen=True)
class Network:
    """A trained network of this run."""

    layers: pd.DataFrame  # as `networks.describe_layers` lists them
    parameters: int
    inputs: tuple  # shape of the input without the batch
    loss: str  # the class's name, as Keras has it; so is the optimizer's
    optimizer: str
    history: pd.DataFrame
    scores: dict  # loss, accuracy, … of the last epoch; test_loss, test_accuracy

    @property
    def pixels(self) -> int:
        return int(np.prod(self.inputs))


@dataclass(frozen=True)
class Study:
    """A run, the published study, and other seeds.

    Tables are as in their files.
    """

    parameters: dict  # params.yaml
    versions: pd.DataFrame
    sizes: dict  # data/processed/sizes.json
    image: tuple  # shape of an image
    classes: list[str]  # their names
    networks: dict[str, Network]
    cells: pd.DataFrame
    cell_histories: pd.DataFrame
    counts: pd.DataFrame
    reconstruction: pd.DataFrame
    noise: dict  # metrics/eval_noise.json
    predictions: pd.DataFrame
    numbers: pd.DataFrame
    recipe: dict
    logs: dict[str, pd.DataFrame]
    notebook: pd.DataFrame
    trainings: pd.DataFrame
    sweeps: pd.DataFrame
    rates: pd.DataFrame

    @property
    def classifiers(self) -> dict[str, str]:
        """The classifiers that eval_noise measured, and what they are called."""
        return self.parameters["eval_noise"]["classifiers"]

    @property
    def first(self) -> str:
        """The classifier that answers the study's questions."""
        return next(iter(self.classifiers))

    @property
    def suffixes(self) -> dict[str, str]:
        """Column suffix of each further classifier, by label."""
        labels = list(self.classifiers.values())[1:]
        return {label: "_" + label.lower().replace(" ", "_") for label in labels}

    @cached_property
    def deviations(self) -> dict[str, list[str]]:
        """What differs from the published recipe, by area.

        Areas are the images, the protocol, each training, and the noise levels.
        """
        recipe, data = self.recipe, self.recipe["data"]
        changed = find_changes(recipe, self.parameters)
        protocol = changed["preprocess"]
        found = {
            "images": [name for name in protocol if "limit" in name],
            "protocol": [name for name in protocol if "limit" not in name],
        }
        found |= {area: changed[section] for area, section in SECTIONS.items()}
        dataset, count = self.parameters["report"]["dataset"], len(self.classes)
        own = (dataset, list(self.image), count)
        if own != (data["dataset"], data["image"], data["classes"]):
            side = " × ".join(map(str, self.image[:2]))
            found["images"].append(f"the images ({dataset}, {side}, {count} classes)")
        for name, network in self.networks.items():
            published = recipe["networks"][name]
            layers = network.layers.assign(output=network.layers.output.map(list))
            layers = layers[["kind", "activation", "output", "parameters"]].to_numpy().tolist()
            if layers != published["layers"]:
                found[name].append(f"the layers of the {NAMES[name]}")
            for part in "loss", "optimizer":
                if getattr(network, part) != published[part]:
                    found[name].append(f"the {part} of the {NAMES[name]}")
        if set(self.cells.parameters) != {recipe["sweep"]["parameters"]}:
            found["sweep"].append("the layers of the large perceptron")
        levels = self.parameters["eval_noise"]["noise_levels"]
        other = sorted(levels) != recipe["noise"]["levels"]
        found["noise"] = ["`eval_noise.noise_levels`"] if other else []
        return found

    def same(self, *areas: str) -> bool:
        """Say whether images, protocol and `areas` are as published."""
        return not any(self.deviations[area] for area in ("images", "protocol", *areas))

    def compares(self, network: str, measure: str) -> bool:
        """Say whether a published number measures what this run's does."""
        if self.deviations["images"] or (network == "noise" and self.deviations["noise"]):
            return False
        if measure.startswith("validation") and self.deviations["protocol"]:
            return False
        if measure.endswith("loss"):
            return self.networks[network].loss == self.recipe["networks"][network]["loss"]
        return True

    def published_log(self, network: str) -> pd.DataFrame | None:
        """Return the published log of a training; None where the recipe differs."""
        return self.logs[f"{SECTIONS[network]}_history"] if self.same(network) else None

    # What runs of the published recipe gave. Without rows where this run's recipe differs.

    def other_trainings(self, network: str, measure: str) -> np.ndarray:
        if not self.same(network):
            return np.array([])
        table = self.trainings
        rows = table[(table.recipe == "published") & (table.network == network)]
        return rows[measure].dropna().to_numpy()

    def other_sweeps(self) -> pd.DataFrame:
        if not self.same("sweep"):
            return self.sweeps[:0]
        return self.sweeps[self.sweeps.recipe == "published"]

    def other_rates(self, classifier: str, recipe: str = "published") -> pd.DataFrame:
        """Return rates, indexed by seed and noise_level; columns are the kinds."""
        rows = self.rates[(self.rates.recipe == recipe) & (self.rates.classifier == classifier)]
        if not (classifier in NAMES and self.same(classifier, "autoencoder")):
            rows = rows[:0]
        table = rows.pivot(index=["seed", "noise_level"], columns="kind", values="rate")
        return table.reindex(columns=KINDS)


def find_changes(recipe: dict, parameters: dict) -> dict[str, list[str]]:
    """List the parameters that differ from a recipe's, by section."""
    changes = {}
    for section, published in recipe["parameters"].items():
        expected, own = flatten(published), flatten(parameters[section])
        names = (expected.keys() | own.keys()) - set(NOT_OF_A_RECIPE)
        changed = [each for each in names if expected.get(each, "none") != own.get(each, "none")]
        changes[section] = [f"`{section}.{name}`" for name in sorted(changed)]
    return changes


def flatten(parameters: dict) -> dict:
    """Give nested parameters dotted names."""
    [flat] = pd.json_normalize(parameters).to_dict("records")
    return flat
