"""Help for tests in a real browser: small pages, visits, and what a visit must not do."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from selenium.webdriver.common.by import By

from common.runtime import keras
from reporting import figures, page
from reporting.playground.pack import pack_playground, pack_reading

# Eighty images, whose rows are white down to their digit's.
DIGITS = np.arange(80) % 10
IMAGES = np.zeros((80, 28, 28, 1), np.float32)
for image, digit in zip(IMAGES, DIGITS, strict=True):
    image[: digit + 1] = 1
CURVES = {
    "CNN": pd.Series({0.0: 1, 0.2: 0.9, 0.4: 0.6, 0.6: 0.45, 0.8: 0.1, 1.0: 0.1}),
    "CNN after denoising": pd.Series({0.0: 1, 0.2: 1, 0.4: 0.9, 0.6: 0.8, 0.8: 0.6, 1.0: 0.1}),
}


def build(layers: list, side: int, seed: int) -> keras.Model:
    """Build a network of `layers`; its weights are few sixteenths, as float16 holds them too."""
    network = keras.Sequential([keras.Input((side, side, 1)), *layers])
    random = np.random.default_rng(seed)
    for layer in network.layers:
        weights = [np.round(random.normal(0, 5, array.shape)) / 16 for array in layer.get_weights()]
        if isinstance(layer, keras.layers.BatchNormalization):
            weights[-1] = random.choice([0.25, 1, 4], weights[-1].shape) - layer.epsilon
        layer.set_weights(weights)
    return network


def compute(network: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return what Keras answers to images (N, pixels or more axes): (N, outputs)."""
    shaped = np.float32(images).reshape(-1, *network.input_shape[1:])
    return np.asarray(network(shaped, training=False)).reshape(len(shaped), -1)


# Some of what browsers of 2021 did not have.
NEWER = ["Float16Array", "structuredClone", "OffscreenCanvas", "Object.groupBy"]
NEWER += ["Uint8Array.fromBase64", "PointerEvent.prototype.getCoalescedEvents"]
for method in "at", "findLast", "toSorted", "toReversed", "with":
    NEWER += [f"Array.prototype.{method}", f"Float32Array.prototype.__proto__.{method}"]


def write_page(path: Path, playground: dict, reading: dict | None = None) -> None:
    """Write a page of the playground and the reading test, where a browser is as one of 2021."""
    deletions = "".join(f"delete window.{name};" for name in NEWER)
    body = f"<script>{deletions}</script>"
    body += page.fill_in("playground/playground.html.j2", playground=playground)
    if reading:
        body += page.fill_in("reading/reading.html.j2", reading=reading)
    text = page.fill_in("page.html.j2", body=body, colours=figures.COLOURS)
    path.write_text(text, encoding="utf-8")


def write_example(path: Path) -> tuple[Path, dict[str, keras.Model]]:
    """Write a page with both; return its path and its networks, which are untrained."""
    layers = keras.layers
    start = [layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten()]
    code = [layers.Flatten(), layers.Dense(16, "relu"), layers.Dense(784, "sigmoid")]
    denoiser = build(code, 28, 3)
    classifiers = {
        "Perceptron": build([layers.Flatten(), layers.Dense(10, "softmax")], 28, 2),
        "CNN": build([*start, layers.Dense(10, "softmax")], 28, 1),
    }
    classes = [str(digit) for digit in range(10)]
    labels = np.eye(10)[DIGITS]
    write_page(
        path,
        pack_playground(classifiers, denoiser, IMAGES, labels, classes),
        pack_reading(IMAGES, labels, classes, CURVES),
    )
    return path, classifiers | {"denoiser": denoiser}


def visit(browser, path: Path) -> None:
    """Open the file `path`; what earlier tests logged or emulated is forgotten."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {})
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    browser.set_window_size(1280, 1200)
    browser.get(path.as_uri())


def assert_quiet(browser) -> None:
    """Since the visit, nothing has failed and nothing has been requested from a network."""
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
    messages = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    sent = [line["params"] for line in messages if line["method"] == "Network.requestWillBeSent"]
    kinds = {line["request"]["url"].split(":")[0] for line in sent}
    assert "file" in kinds <= {"file", "data"}


def find(place, selector: str):
    return place.find_element(By.CSS_SELECTOR, selector)


def find_all(place, selector: str) -> list:
    return place.find_elements(By.CSS_SELECTOR, selector)
