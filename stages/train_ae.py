"""Train the denoising autoencoder (published problem 4a)."""

import functools

from common import dataset, models, results
from common.noise import NoiseParameters, add_noise, add_noise_to_batch
from common.runtime import derive_seed, keras, set_up
from common.training import TrainingParameters, schedule_rate, train


class AutoencoderParameters(TrainingParameters, NoiseParameters, section="train_ae"):
    """Hold the autoencoder's parameters; the noise of validation images is drawn once."""


def build():
    """Build the network: pixels (N, 784) in [0, 1] to as many, 226,416 parameters.

    Its two layers, `encoder` and `decoder`, are networks that can be used on their own.
    """
    layers = keras.layers
    encoder = keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(128, activation="relu", name="hidden_1"),
            layers.Dense(96, activation="relu", name="code"),
        ],
        name="encoder",
    )
    decoder = keras.Sequential(
        [
            keras.Input((96,)),
            layers.Dense(128, activation="relu", name="hidden_2"),
            layers.Dense(784, activation="sigmoid", name="pixels"),
        ],
        name="decoder",
    )
    return keras.Sequential([keras.Input((784,)), encoder, decoder], name="autoencoder")


def main(parameters: AutoencoderParameters) -> None:
    set_up(derive_seed(parameters.seed, "weights"), parameters.threads)
    model = build()
    clean, validation = (
        dataset.load(split)[0].reshape(-1, 784) for split in ("train", "validation")
    )
    if parameters.noise_drawn == "once":
        noisy, augment = add_noise(clean, parameters, "train"), None
    else:
        noisy, augment = clean, functools.partial(add_noise_to_batch, "threefry", parameters)
    history = train(
        model,
        keras.optimizers.Adam(schedule_rate(parameters, len(clean))),
        keras.losses.BinaryCrossentropy(),
        (noisy, clean),
        (add_noise(validation, parameters, "validation"), validation),
        batch_size=parameters.batch_size,
        epochs=parameters.epochs,
        seed=derive_seed(parameters.seed, "shuffling"),
        augment=augment,
    )
    metrics = history.iloc[-1].drop("epoch").to_dict() | {"parameters": model.count_params()}
    models.save(model, "models/autoencoder.keras")
    results.write_csv("plots/train_ae/history.csv", history)
    results.write_json("metrics/train_ae.json", metrics)


if __name__ == "__main__":
    AutoencoderParameters.run(main, __doc__)
