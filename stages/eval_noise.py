"""Measure how noise and denoising change what the classifiers read (published 4b, 4c)."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from common import dataset, results
from common.noise import NoiseLevel, salt_and_pepper
from common.parameters import Parameters, Seed, Threads, several, whole
from common.runtime import derive_seed, keras, set_up, tf

FOLDER = Path("plots/eval_noise")
CLASSIFIERS = ("cnn", "mlp")


class EvaluationParameters(Parameters, section="eval_noise"):
    """Hold at which noise levels, and how often, the noise is drawn."""

    noise_levels: several(NoiseLevel)
    draws: whole("how often the noise is drawn at each level", 1, 1_000)
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
    """Count the images of each digit, and those read right; digits are of shape (N,)."""
    images = np.bincount(actual, minlength=10)
    recognised = np.bincount(actual[actual == predicted], minlength=10)
    return {"digit": range(10), "images": images, "recognised": recognised}


def measure_ssim(images, originals):
    """Return the structural similarity of each image to its original, in [-1, 1], shape (N,).

    Both are (N, 28, 28) in [0, 1]. The window is Gaussian, 11 × 11 pixels, with a standard
    deviation of 1.5. It slides by two products with a band matrix, which takes a sixth of the
    time of `tf.image.ssim`. Source: Wang et al., 2004, https://doi.org/10.1109/TIP.2003.819861.
    """
    window = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window /= window.sum()
    band = np.array([np.pad(window, (place, 17 - place)) for place in range(18)], np.float32)

    def average(values):
        return band @ values @ band.T

    image_mean = average(images)
    original_mean = average(originals)
    product = image_mean * original_mean
    squares = image_mean**2 + original_mean**2
    covariance = average(images * originals) - product
    variances = average(images**2 + originals**2) - squares
    luminance = (2 * product + 0.01**2) / (squares + 0.01**2)
    structure = (2 * covariance + 0.03**2) / (variances + 0.03**2)
    return (luminance * structure).mean(axis=(1, 2))


def measure_similarity(images, originals) -> dict[str, float]:
    """Return the mean SSIM and the PSNR, in dB, of `images` to `originals`.

    Both are (N, 28, 28, 1) in [0, 1]. The peak signal-to-noise ratio is that of the mean squared
    error; infinity where nothing differs.
    """
    error = float(np.mean(np.square(images - originals), dtype=np.float64))
    return {
        "ssim": float(np.mean(measure_ssim(images[..., 0], originals[..., 0]), dtype=np.float64)),
        "psnr": -10 * np.log10(error) if error else np.inf,
    }


def measure(parameters: EvaluationParameters, classifiers: dict, denoise, images, labels):
    """Measure every draw of the noise at every level.

    Returns three tables, and the pixels of the examples in the first draw, [0, 1], of
    shape (levels, 3, examples, 28, 28, 1): original, noisy, denoised.
    """
    actual, examples = labels.argmax(axis=1), parameters.examples
    rates, similarities, readings, pixels = [], [], [], []
    for level, draw in itertools.product(parameters.noise_levels, range(parameters.draws)):
        noisy = salt_and_pepper(images, level, derive_seed(parameters.seed, level, draw))
        denoised = denoise(noisy.reshape(-1, 784)).reshape(images.shape)
        for kind, shown in {"noisy": noisy, "denoised": denoised}.items():
            place = {"noise_level": level, "draw": draw, "kind": kind}
            similarities.append(place | measure_similarity(shown, images))
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
        if draw == 0:
            pixels.append([kind[examples] for kind in (images, noisy, denoised)])
        print(f"noise level {level}: draw {draw + 1} of {parameters.draws} measured", flush=True)
    return pd.concat(rates), pd.DataFrame(similarities), pd.concat(readings), np.array(pixels)


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
    classifiers = {name: load_network(name, (28, 28, 1), (10,)) for name in CLASSIFIERS}
    denoise = load_network("autoencoder", (784,), (784,))
    rates, similarities, readings, pixels = measure(
        parameters, classifiers, denoise, images, labels
    )
    results.write_csv(FOLDER / "rates.csv", rates)
    results.write_csv(FOLDER / "reconstruction.csv", similarities)
    results.write_csv(FOLDER / "examples.csv", readings)
    np.save(FOLDER / "pixels.npy", np.rint(pixels[..., 0] * 255).astype(np.uint8))
    results.write_json("metrics/eval_noise.json", summarise(rates))


if __name__ == "__main__":
    EvaluationParameters.run(main, __doc__)
