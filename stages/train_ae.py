"""Train the denoising autoencoder (published problem 4a)."""

import functools
import math
from typing import ClassVar

from common import data, networks
from common.noise import NoiseParams, add_noise, add_noise_to_batch
from common.runtime import derive_seed, keras, set_up
from common.training import TrainingParams, refuse_unfit, schedule_rate, suits_xla, train


class AutoencoderParams(TrainingParams, NoiseParams):
    """Parameters of the autoencoder: section train_ae of params.yaml.

    The noise of validation images is drawn once.
    """

    section: ClassVar = "train_ae"


def build(shape: tuple[int, ...]):
    """Build the network: images as rows of pixels in [0, 1] to as many pixels.

    `shape` is that of an image. The network may as well take and give images (N, *shape). Its two
    layers, `encoder` and `decoder`, are networks that can be used on their own.
    """
    layers = keras.layers
    pixels = math.prod(shape)
    encoder = keras.Sequential(
        [
            keras.Input((pixels,)),
            layers.Dense(128, activation="relu", name="hidden_1"),
            layers.Dense(96, activation="relu", name="code"),
        ],
        name="encoder",
    )
    decoder = keras.Sequential(
        [
            keras.Input((96,)),
            layers.Dense(128, activation="relu", name="hidden_2"),
            layers.Dense(pixels, activation="sigmoid", name="pixels"),
        ],
        name="decoder",
    )
    return keras.Sequential([keras.Input((pixels,)), encoder, decoder], name="autoencoder")


def main(params: AutoencoderParams) -> None:
    set_up(derive_seed(params.seed, "weights"), params.threads)
    clean, validation = data.load("train")[0], data.load("validation")[0]
    model = build(clean.shape[1:])
    refuse_unfit(model)
    # Before they become rows of pixels, where the network takes rows.
    noisy, augment = clean, None
    if params.noise_drawn == "once":
        noisy = add_noise(clean, params, "train")
    else:
        generator = "threefry" if suits_xla(model) else "philox"
        augment = functools.partial(add_noise_to_batch, generator, params)
    noisy_validation = add_noise(validation, params, "validation")
    inputs = (-1, *model.input_shape[1:])
    targets = (-1, *model.output_shape[1:])
    optimizer = keras.optimizers.Adam(schedule_rate(params, len(clean)))
    model.compile(optimizer, "binary_crossentropy")
    history = train(
        model,
        (noisy.reshape(inputs), clean.reshape(targets)),
        (noisy_validation.reshape(inputs), validation.reshape(targets)),
        batch_size=params.batch_size,
        epochs=params.epochs,
        seed=derive_seed(params.seed, "shuffling"),
        augment=augment,
    )
    networks.save(model, "autoencoder")
    data.write_csv("plots/train_ae/history.csv", history)
    last = history.iloc[-1]
    data.write_json("metrics/train_ae.json", {"validation_loss": last.validation_loss})


if __name__ == "__main__":
    main(AutoencoderParams.load())
