"""Classify noisy and denoised test images at every noise level (published problem 4b, 4c)."""

from typing import Annotated

from pydantic import Field

from common.parameters import Distinct, NoiseLevel, Parameters, Seed, Threads

FOLDER = "plots/eval_noise"


class NoiseParameters(Parameters, section="eval_noise"):
    noise_levels: Annotated[list[NoiseLevel], Distinct] = Field(
        min_length=1,
        description="shares of pixels that turn black or white: numbers from 0 to 1, "
        "at least one, none twice",
    )
    draws: int = Field(
        ge=1,
        le=1_000,
        description="how often the noise is drawn at each level: a whole number from 1 to 1,000",
    )
    examples: Annotated[list[Annotated[int, Field(ge=0, le=9_999)]], Distinct] = Field(
        min_length=1,
        max_length=10,
        description="which test images the figures show: one to ten whole numbers from 0 to "
        "9,999, none twice",
    )
    seed: Seed
    threads: Threads


def class_rates(actual, predicted):
    """The true-positive rate of each digit: of the images that show it, the share recognised.

    `actual` and `predicted` are digits of shape (N,); the rates, in [0, 1], have shape (10,),
    NaN for a digit that no image shows.
    """
    import numpy as np

    shown = np.bincount(actual, minlength=10)
    recognised = np.bincount(actual[actual == predicted], minlength=10)
    return np.divide(recognised, shown, out=np.full(10, np.nan), where=shown > 0)


def ssim(images, originals):
    """The structural similarity of each image to its original, in [-1, 1], shape (N,); both are
    (N, 28, 28) in [0, 1]. Gaussian window of 11 × 11 pixels with a standard deviation of 1.5.

    Wang et al., 2004, https://doi.org/10.1109/TIP.2003.819861; agrees with `tf.image.ssim`, and
    takes a sixth of its time, as the window slides by two products with a band matrix.
    """
    import numpy as np

    window = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window /= window.sum()
    places = range(28 - len(window) + 1)
    band = np.stack([np.pad(window, (place, places[-1] - place)) for place in places])
    band = band.astype(np.float32)

    def mean(values):
        return band @ values @ band.T

    means = mean(images), mean(originals)
    product = means[0] * means[1]
    squares = means[0] ** 2 + means[1] ** 2
    covariance = mean(images * originals) - product
    variances = mean(images**2 + originals**2) - squares
    luminance = (2 * product + 0.01**2) / (squares + 0.01**2)
    structure = (2 * covariance + 0.03**2) / (variances + 0.03**2)
    return (luminance * structure).mean(axis=(1, 2))


def similarity(images, originals) -> dict[str, float]:
    """How close `images` are to `originals`, both (N, 28, 28, 1) in [0, 1]: the mean of
    the images' structural similarity and the peak signal-to-noise ratio (PSNR, in dB) of the
    mean squared error; infinity where nothing differs."""
    import numpy as np

    error = float(np.mean(np.square(images - originals), dtype=np.float64))
    return {
        "ssim": float(np.mean(ssim(images[..., 0], originals[..., 0]), dtype=np.float64)),
        "psnr": -10 * np.log10(error) if error else np.inf,
    }


def compiled(model):
    """A function from inputs, (N, …), to what `model` makes of them, a thousand at a time.

    Keras's `predict` gives the same, but reads its batches through a pipeline that waits half a
    second where another process keeps the processor busy.
    """
    import numpy as np

    from common.runtime import tf

    run = tf.function(lambda inputs: model(inputs, training=False))

    def outputs(inputs):
        batches = (inputs[first : first + 1000] for first in range(0, len(inputs), 1000))
        return np.concatenate([run(tf.constant(batch)) for batch in batches])

    return outputs


def measure(parameters: NoiseParameters, classifier, autoencoder, images, labels):
    """Every draw at every level, a row for each: noise_level, draw, and for "noisy" and
    "denoised" images their `rate`, the rate of each digit (`rate_0` …), `ssim` and `psnr`.
    Also the examples of the first draw: noise_level, image, kind, predicted, probability and
    the pixels, (28, 28)."""
    import numpy as np
    import pandas as pd

    from common.noise import salt_and_pepper
    from common.seeds import derive_seed

    classify, denoise = compiled(classifier), compiled(autoencoder)
    rows, examples = [], []
    actual = labels.argmax(axis=1)
    for level in parameters.noise_levels:
        for draw in range(parameters.draws):
            noisy = salt_and_pepper(images, level, derive_seed(parameters.seed, level, draw))
            denoised = denoise(noisy.reshape(-1, 784)).reshape(images.shape)
            row = {"noise_level": level, "draw": draw}
            for kind, pixels in ("noisy", noisy), ("denoised", denoised):
                probabilities = classify(pixels)
                predicted = probabilities.argmax(axis=1)
                row[f"{kind}_rate"] = np.mean(predicted == actual)
                for digit, rate in enumerate(class_rates(actual, predicted)):
                    row[f"{kind}_rate_{digit}"] = rate
                for name, value in similarity(pixels, images).items():
                    row[f"{kind}_{name}"] = value
                if draw == 0:
                    for index in parameters.examples:
                        examples.append(
                            {
                                "noise_level": level,
                                "image": index,
                                "kind": kind,
                                "actual": actual[index],
                                "predicted": predicted[index],
                                "probability": probabilities[index].max(),
                                "pixels": pixels[index, ..., 0],
                            }
                        )
            rows.append(row)
        print(
            f"noise level {level}: true-positive rate {row['noisy_rate']:.4f} noisy, "
            f"{row['denoised_rate']:.4f} denoised",
            flush=True,
        )
    return pd.DataFrame(rows), pd.DataFrame(examples)


def summarise(draws):
    """Mean and sample standard deviation over the draws of every figure, a row for each level:
    columns as in `draws`, and with `_std`. One draw has no deviation: 0."""
    levels = draws.drop(columns="draw").groupby("noise_level")
    deviation = levels.std(ddof=1).fillna(0).add_suffix("_std")
    return levels.mean().join(deviation).reset_index()


def draw_examples(examples, originals, level: float):
    """Figures 4–14: the example digits at one noise level, original, noisy and denoised."""
    from common.figures import plt

    at_level = examples[examples.noise_level == level]
    figure, axes = plt.subplots(3, len(originals), figsize=(1.4 * len(originals) + 0.8, 4.8))
    axes = axes.reshape(3, -1)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        axis.spines[:].set_visible(False)
    for column, (index, original) in enumerate(originals.items()):
        axes[0, column].imshow(original, cmap="gray", vmin=0, vmax=1)
        for row, kind in enumerate(("noisy", "denoised"), start=1):
            [example] = at_level[(at_level.image == index) & (at_level.kind == kind)].itertuples()
            axes[row, column].imshow(example.pixels, cmap="gray", vmin=0, vmax=1)
            axes[row, column].set_xlabel(f"{example.predicted} ({example.probability:.2f})")
    for axis, label in zip(axes[:, 0], ("original", "noisy", "denoised"), strict=True):
        axis.set_ylabel(label)
    figure.suptitle(f"Noise level {level:g}: the network's guess (probability)")
    return figure


def draw_rates(summary):
    """Figure 15: true-positive rate of noisy and denoised images against the noise level."""
    from common.figures import BLUE, ORANGE, plt

    figure, axis = plt.subplots()
    for kind, colour, marker in ("noisy", ORANGE, "o"), ("denoised", BLUE, "s"):
        axis.errorbar(
            summary.noise_level,
            summary[f"{kind}_rate"],
            summary[f"{kind}_rate_std"],
            color=colour,
            marker=marker,
            capsize=3,
            label=kind,
        )
    axis.axhline(0.1, color="0.5", linestyle=":", label="chance")
    axis.set(
        title="Classifying noisy and denoised digits",
        xlabel="noise level (share of pixels replaced)",
        ylabel="true-positive rate",
        ylim=(0, 1.02),
    )
    axis.legend()
    return figure


def main(parameters: NoiseParameters) -> None:
    # Imported here, so that --help and a wrong parameter need not wait for TensorFlow.
    import sys

    import pandas as pd

    from common import dataset, figures, models, results
    from common.runtime import set_up

    set_up(parameters.seed, parameters.threads)
    images, labels = dataset.load("test")
    if max(parameters.examples) >= len(images):
        sys.exit(
            f"error: eval_noise.examples = {max(parameters.examples)}: "
            f"the test images are numbered 0 to {len(images) - 1}"
        )
    draws, examples = measure(
        parameters,
        models.load("models/cnn.keras", (28, 28, 1), (10,)),
        models.load("models/autoencoder.keras", (784,), (784,)),
        images,
        labels,
    )
    summary = summarise(draws)
    kinds = ("noisy", "denoised")
    by_digit = pd.concat(
        pd.DataFrame(
            {
                "noise_level": summary.noise_level,
                "digit": digit,
                **{kind: summary[f"{kind}_rate_{digit}"] for kind in kinds},
            }
        )
        for digit in range(10)
    )
    by_digit_mean = by_digit.groupby("noise_level", as_index=False)[list(kinds)].mean()
    per_level = {
        "noise_level": summary.noise_level,
        **{kind: summary[f"{kind}_rate"] for kind in kinds},
        **{f"{kind}_std": summary[f"{kind}_rate_std"] for kind in kinds},
        **{f"{kind}_class_mean": by_digit_mean[kind] for kind in kinds},
    }
    closeness = {
        f"{kind}_{name}": summary[f"{kind}_{name}"] for name in ("ssim", "psnr") for kind in kinds
    }
    originals = {index: images[index, ..., 0] for index in parameters.examples}
    for level in parameters.noise_levels:
        figures.save(
            draw_examples(examples, originals, level),
            f"{FOLDER}/figures/figures_04-14_noise_{level}.png",
        )
    figures.save(draw_rates(summary), f"{FOLDER}/figures/figure_15_rates.png")
    results.write_csv(f"{FOLDER}/rates.csv", pd.DataFrame(per_level))
    results.write_csv(f"{FOLDER}/class_rates.csv", by_digit)
    results.write_csv(
        f"{FOLDER}/reconstruction.csv",
        pd.DataFrame({"noise_level": summary.noise_level} | closeness),
    )
    results.write_csv(f"{FOLDER}/examples.csv", examples.drop(columns="pixels"))
    metrics = {
        f"level_{row.noise_level}": {
            "noisy": row.noisy,
            "noisy_std": row.noisy_std,
            "denoised": row.denoised,
            "denoised_std": row.denoised_std,
        }
        for row in pd.DataFrame(per_level).itertuples()
    }
    results.write_json("metrics/eval_noise.json", metrics)


if __name__ == "__main__":
    NoiseParameters.run(main, __doc__)
