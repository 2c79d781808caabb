"""Measure how noise, a filter and denoising change what a classifier reads (4b, 4c)."""

import math
import sys
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field
from scipy import ndimage

from common import data, networks
from common.noise import NoiseLevel, salt_and_pepper
from common.params import Distinct, Params, Seed, Threads
from common.rates import noise_curve, noise_findings
from common.runtime import derive_seed, set_up, tf

BATCH = 1000  # images that a network takes at a time


class EvalParams(Params):
    """Parameters of the evaluation: section eval_noise of params.yaml."""

    section: ClassVar = "eval_noise"
    shared: ClassVar = ("threads",)

    noise_levels: Distinct[NoiseLevel] = Field(
        description="shares of pixels that turn black or white"
    )
    draws: int = Field(ge=2, le=1_000, description="draws of the noise at each level")
    examples: Distinct[Annotated[int, Field(ge=0)]] = Field(
        max_length=10, description="test images that the figures show"
    )
    classifier: str = Field(
        pattern=r"^[\w-]+$", description="what reads the images: NAME of models/NAME.keras"
    )
    seed: Seed
    threads: Threads


def load_network(name: str, inputs: tuple, outputs: tuple):
    """Load models/NAME.keras as a function of arrays.

    The function takes (N, *inputs) and returns (N, *outputs); the network itself may have any
    shapes with as many values. Ends the process with one line if it has not. Keras's `predict`
    gives the same values, but waits half a second in most calls while the processor is busy.
    """
    model = networks.load(name)
    shape = fit_shape(name, "input", model.input_shape, inputs)
    fit_shape(name, "output", model.output_shape, outputs)
    run = tf.function(lambda batch: model(batch, training=False))

    def infer(images: np.ndarray) -> np.ndarray:
        images = images.reshape(-1, *shape)
        batches = [images[first : first + BATCH] for first in range(0, len(images), BATCH)]
        return np.concatenate([run(tf.constant(batch)) for batch in batches]).reshape(-1, *outputs)

    return infer


def fit_shape(name: str, side: str, found, wanted: tuple) -> tuple:
    """Return the shape in which a network takes or gives one array of shape `wanted`.

    `found` is the shape that Keras states: None first, for the batch. A network that leaves its
    size open takes `wanted` as it is.
    """
    if isinstance(found, tuple):
        shape = wanted if None in found[1:] else found[1:]
        if math.prod(shape) == math.prod(wanted):
            return shape
        found = found[1:]
    sys.exit(
        f"error: models/{name}.keras: its {side} is {found}, the data are {wanted}; "
        "change the network's layers, or train it again: dvc repro"
    )


def filter_median(images: np.ndarray) -> np.ndarray:
    """Replace each pixel by the median of 3 × 3, with black outside the image.

    Images are of shape (N, side, side, 1).
    """
    return ndimage.median_filter(images, size=(1, 3, 3, 1), mode="constant", cval=0.0)


def compare_images(images: np.ndarray, originals: np.ndarray) -> dict[str, float]:
    """Measure how close images are to their originals: SSIM and PSNR.

    Both are in [0, 1], of shape (N, side, side, 1). SSIM is the mean over the images. PSNR is over
    all pixels, in dB.
    """
    error = np.square(images - originals).mean()
    psnr = -10 * math.log10(error) if error else math.inf
    return {"ssim": float(ssim(images[..., 0], originals[..., 0]).mean()), "psnr": psnr}


def ssim(images: np.ndarray, originals: np.ndarray) -> np.ndarray:
    """Return each image's structural similarity to its original, (N,).

    Both are in [0, 1], of shape (N, side, side). As `tf.image.ssim`, in a thirtieth of its time:
    means over a Gaussian window of 11 × 11 (less in smaller images) with deviation 1.5, wherever
    it fits. Source: Wang et al. 2004, Image quality assessment, IEEE Transactions on Image
    Processing 13, equation 13.
    """
    side = images.shape[1]
    size = min(11, side)
    window = np.exp(-np.square((np.arange(size) - (size - 1) / 2) / 1.5) / 2)
    # Each row has the window, one pixel further on: a product of matrices is a weighted mean.
    shifts = range(side - size + 1)
    rows = [np.pad(window / window.sum(), (shift, side - size - shift)) for shift in shifts]
    weights = np.array(rows, np.float32)

    def smooth(values: np.ndarray) -> np.ndarray:
        # TensorFlow's products do not depend on how NumPy was built or set up.
        return tf.matmul(tf.matmul(weights, values), weights, transpose_b=True).numpy()

    mean, original_mean = smooth(images), smooth(originals)
    product, squares = mean * original_mean, mean**2 + original_mean**2
    covariance = smooth(images * originals) - product
    variances = smooth(images**2 + originals**2) - squares
    luminance = (2 * product + 0.01**2) / (squares + 0.01**2)
    structure = (2 * covariance + 0.03**2) / (variances + 0.03**2)
    return (luminance * structure).mean(axis=(1, 2))


def count_answers(actual: np.ndarray, predicted: np.ndarray, classes: int) -> dict:
    """Count, for each label, its images, those read right, and those read as it.

    Labels are of shape (N,).
    """
    return {
        "label": range(classes),
        "images": np.bincount(actual, minlength=classes),
        "recognised": np.bincount(actual[actual == predicted], minlength=classes),
        "answered": np.bincount(predicted, minlength=classes),
    }


def measure(params: EvalParams, images, labels, classify, denoise):
    """Measure every draw of the noise at every level.

    Returns the tables by name, and the pixels of the examples, in [0, 1], of shape (levels, 4,
    examples, side, side, 1); the four are original, noisy, filtered and denoised. The examples
    are those of the first draw.
    """
    actual, examples = labels.argmax(axis=1), params.examples
    rates, reconstruction, readings, pixels = [], [], [], []
    for level in params.noise_levels:
        draws = params.draws if level else 1  # without noise, all would be the same
        for draw in range(draws):
            noisy = salt_and_pepper(images, level, derive_seed(params.seed, level, draw))
            variants = {
                "noisy": noisy,
                "filtered": filter_median(noisy),
                "denoised": denoise(noisy),
            }
            if draw == 0:
                pixels.append([shown[examples] for shown in (images, *variants.values())])
            for kind, shown in variants.items():
                context = {"noise_level": level, "draw": draw, "kind": kind}
                probabilities = classify(shown)
                predicted = probabilities.argmax(axis=1)
                counts = count_answers(actual, predicted, labels.shape[1])
                rates.append(pd.DataFrame(context | counts))
                reconstruction.append(context | compare_images(shown, images))
                if draw == 0:
                    reading = {
                        "noise_level": level,
                        "image": examples,
                        "kind": kind,
                        "actual": actual[examples],
                        "predicted": predicted[examples],
                        "probability": probabilities[examples].max(axis=1),
                    }
                    readings.append(pd.DataFrame(reading))
            print(f"noise level {level}: draw {draw + 1} of {draws} measured", flush=True)
    tables = {
        "rates": pd.concat(rates),
        "reconstruction": pd.DataFrame(reconstruction),
        "examples": pd.concat(readings),
    }
    return tables, np.array(pixels)


def main(params: EvalParams) -> None:
    set_up(params.seed, params.threads)
    images, labels = data.load("test")
    if max(params.examples) >= len(images):
        sys.exit(
            f"error: eval_noise.examples = {params.examples}: "
            f"the test images are numbered 0 to {len(images) - 1}"
        )
    shape = images.shape[1:]
    classify = load_network(params.classifier, shape, labels.shape[1:])
    denoise = load_network("autoencoder", shape, shape)
    tables, pixels = measure(params, images, labels, classify, denoise)
    for name, table in tables.items():
        data.write_csv(f"plots/eval_noise/{name}.csv", table)
    path = Path("plots/eval_noise/pixels.npy")
    path.unlink(missing_ok=True)  # it may be a link into DVC's cache
    np.save(path, np.rint(pixels[..., 0] * 255).astype(np.uint8))
    data.write_json("metrics/eval_noise.json", noise_findings(noise_curve(tables["rates"])))


if __name__ == "__main__":
    main(EvalParams.load())
