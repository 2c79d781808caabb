"""Measure how noise and denoising change what the classifiers read (published 4b, 4c)."""

import itertools
import sys

import numpy as np
import pandas as pd

from common import dataset, results
from common.noise import NoiseLevel, salt_and_pepper
from common.parameters import Parameters, Seed, Threads, several, whole
from common.runtime import derive_seed, keras, set_up, tf


class EvaluationParameters(Parameters, section="eval_noise"):
    """Hold at which noise levels, and how often, the noise is drawn."""

    noise_levels: several(NoiseLevel)
    draws: whole("how often the noise is drawn at each level", 2, 1_000)
    examples: several(whole("number of a test image that the figures show", 0, 9_999), most=10)
    seed: Seed
    threads: Threads


def load_network(name: str, input_shape: tuple, output_shape: tuple):
    """Load models/NAME.keras as a function from (N, *input_shape) to (N, *output_shape).

    Ends the process with one line where the file holds another network. Keras's `predict` gives
    the same outputs, but waits half a second in most calls while the processor is busy.
    """
    path = f"models/{name}.keras"
    model = keras.models.load_model(path)
    found = (model.name, model.input_shape[1:], model.output_shape[1:])
    if found != (name, input_shape, output_shape):
        sys.exit(
            f"error: {path}: the network {found[0]}, from {found[1]} to {found[2]}; "
            "restore it: dvc repro, or dvc checkout"
        )
    run = tf.function(lambda inputs: model(inputs, training=False))

    def infer(inputs):
        batches = (inputs[first : first + 1000] for first in range(0, len(inputs), 1000))
        return np.concatenate([run(tf.constant(batch)) for batch in batches])

    return infer


def count_recognised(actual, predicted) -> dict:
    """Count the images of each digit, and those read right.

    Digits are of shape (N,).
    """
    images = np.bincount(actual, minlength=10)
    recognised = np.bincount(actual[actual == predicted], minlength=10)
    return {"digit": range(10), "images": images, "recognised": recognised}


def measure(parameters: EvaluationParameters, classifiers: dict, denoise, images, labels):
    """Measure every draw of the noise at every level.

    Returns the tables by name, and the pixels of the examples, in [0, 1], of shape (levels, 3,
    examples, 28, 28, 1); the three are original, noisy and denoised. The examples and the
    likeness to the originals (mean SSIM; PSNR over all images, in dB) are those of the first
    draw: with so many images it is precise.
    """
    ssim = tf.function(tf.image.ssim, jit_compile=True)  # XLA takes a quarter of the time
    actual, examples = labels.argmax(axis=1), parameters.examples
    rates, reconstruction, readings, pixels = [], [], [], []
    for level, draw in itertools.product(parameters.noise_levels, range(parameters.draws)):
        noisy = salt_and_pepper(images, level, derive_seed(parameters.seed, level, draw))
        denoised = denoise(noisy.reshape(-1, 784)).reshape(images.shape)
        if draw == 0:
            pixels.append([shown[examples] for shown in (images, noisy, denoised)])
        for kind, shown in {"noisy": noisy, "denoised": denoised}.items():
            place = {"noise_level": level, "draw": draw, "kind": kind}
            if draw == 0:
                likeness = {
                    "ssim": np.mean(ssim(shown, images, max_val=1.0)),
                    # Without the last axis, TensorFlow takes all images for one.
                    "psnr": float(tf.image.psnr(shown[..., 0], images[..., 0], max_val=1.0)),
                }
                reconstruction.append(place | likeness)
            for name, infer in classifiers.items():
                probabilities = infer(shown)
                predicted = probabilities.argmax(axis=1)
                counts = count_recognised(actual, predicted)
                rates.append(pd.DataFrame({"classifier": name} | place | counts))
                reading = {
                    "classifier": name,
                    "noise_level": level,
                    "image": examples,
                    "kind": kind,
                    "actual": actual[examples],
                    "predicted": predicted[examples],
                    "probability": probabilities[examples].max(axis=1),
                }
                if draw == 0:
                    readings.append(pd.DataFrame(reading))
        print(f"noise level {level}: draw {draw + 1} of {parameters.draws} measured", flush=True)
    tables = {
        "rates": pd.concat(rates),
        "reconstruction": pd.DataFrame(reconstruction),
        "examples": pd.concat(readings),
    }
    return tables, np.array(pixels)


def summarise(rates: pd.DataFrame) -> dict:
    """Return the share of images read right, by classifier, noise level and kind."""
    totals = rates.groupby(["classifier", "noise_level", "kind"])[["images", "recognised"]].sum()
    summary = {}
    for (classifier, level), kinds in (totals.recognised / totals.images).unstack().iterrows():
        summary.setdefault(classifier, {})[f"level_{level}"] = kinds.to_dict()
    return summary


def main(parameters: EvaluationParameters) -> None:
    set_up(parameters.seed, parameters.threads)
    images, labels = dataset.load("test")
    if max(parameters.examples) >= len(images):
        sys.exit(
            f"error: eval_noise.examples = {max(parameters.examples)}: "
            f"the test images are numbered 0 to {len(images) - 1}"
        )
    classifiers = {name: load_network(name, (28, 28, 1), (10,)) for name in ("cnn", "mlp")}
    denoise = load_network("autoencoder", (784,), (784,))
    tables, pixels = measure(parameters, classifiers, denoise, images, labels)
    for name, table in tables.items():
        results.write_csv(f"plots/eval_noise/{name}.csv", table)
    np.save("plots/eval_noise/pixels.npy", np.rint(pixels[..., 0] * 255).astype(np.uint8))
    results.write_json("metrics/eval_noise.json", summarise(tables["rates"]))


if __name__ == "__main__":
    EvaluationParameters.run(main, __doc__)
