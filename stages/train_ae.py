"""Train the denoising autoencoder (published problem 4a)."""

from common.parameters import (
    BatchSize,
    Epochs,
    LearningRate,
    NoiseLevel,
    Parameters,
    Seed,
    Threads,
)


class AutoencoderParameters(Parameters, section="train_ae"):
    learning_rate: LearningRate
    batch_size: BatchSize
    epochs: Epochs
    noise_level: NoiseLevel
    seed: Seed
    threads: Threads


def build():
    """Pixels (N, 784) in [0, 1] to as many: 226,416 parameters. Its two layers, `encoder` (to
    the latent code of 96) and `decoder`, are networks that can be used on their own."""
    import keras
    from keras import layers

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
    # Imported here, so that --help and a wrong parameter need not wait for TensorFlow.
    from common import dataset, models, results
    from common.noise import salt_and_pepper
    from common.runtime import keras, set_up
    from common.seeds import derive_seed
    from common.training import train

    def noisy_and_clean(split):
        clean = dataset.load(split)[0].reshape(-1, 784)
        seed = derive_seed(parameters.seed, "noise", split)
        return salt_and_pepper(clean, parameters.noise_level, seed), clean

    set_up(derive_seed(parameters.seed, "weights"), parameters.threads)
    model = build()
    history = train(
        model,
        keras.optimizers.Adam(parameters.learning_rate),
        keras.losses.BinaryCrossentropy(),
        noisy_and_clean("train"),
        noisy_and_clean("validation"),
        batch_size=parameters.batch_size,
        epochs=parameters.epochs,
        seed=derive_seed(parameters.seed, "shuffling"),
    )
    metrics = history.iloc[-1].drop("epoch").to_dict() | {"parameters": model.count_params()}
    models.save(model, "models/autoencoder.keras")
    results.write_csv("plots/train_ae/history.csv", history)
    results.write_json("metrics/train_ae.json", metrics)


if __name__ == "__main__":
    AutoencoderParameters.run(main, __doc__)
