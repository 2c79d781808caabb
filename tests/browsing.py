"""Help for tests in a real browser: small pages, visits, and what a visit must not do."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from selenium.webdriver.common.by import By

from common.runtime import keras
from reporting import figures, page
from reporting.playground.pack import pack_playground, pack_reading

AXE = ROOT / "node_modules/axe-core/axe.min.js"
CLASSES = [str(digit) for digit in range(10)]
# Eighty images, whose rows are white down to their digit's.
DIGITS = np.arange(80) % 10
IMAGES = np.zeros((80, 28, 28, 1), np.float32)
for image, digit in zip(IMAGES, DIGITS, strict=True):
    image[: digit + 1] = 1
CURVES = {
    "CNN": pd.Series({0.0: 1, 0.2: 0.9, 0.4: 0.6, 0.6: 0.3, 0.8: 0.1, 1.0: 0.1}),
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


def write_page(path: Path, playground: dict | None = None, reading: dict | None = None) -> None:
    """Write a page that has nothing but the playground, the reading test or both."""
    body = "<h1>Test</h1>"
    if playground:
        body += page.fill_in("playground/playground.html.j2", playground=playground)
    body += "<h2>A section</h2><h3>A question</h3>"
    if reading:
        body += page.fill_in("reading/reading.html.j2", reading=reading)
    text = page.fill_in("page.html.j2", body=body, colours=figures.COLOURS)
    path.write_text(text, encoding="utf-8")


def write_example(path: Path) -> tuple[Path, dict[str, keras.Model]]:
    """Write a page with both; return its path and its networks, which are untrained."""
    layers = keras.layers
    start = [layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten()]
    code = [layers.Flatten(), layers.Dense(16, "relu"), layers.Dense(784, "sigmoid")]
    perceptron = build([layers.Flatten(), layers.Dense(10, "softmax")], 28, 2)
    cnn = build([*start, layers.Dense(10, "softmax")], 28, 1)
    denoiser = build(code, 28, 3)
    classifiers = {"Perceptron": perceptron, "CNN": cnn}
    labels = np.eye(10)[DIGITS]
    write_page(
        path,
        playground=pack_playground(classifiers, denoiser, IMAGES, labels, CLASSES),
        reading=pack_reading(IMAGES, labels, CLASSES, CURVES),
    )
    return path, classifiers | {"denoiser": denoiser}


def visit(browser, path: Path) -> None:
    """Open the file `path`; what earlier pages logged is forgotten."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.set_window_size(1280, 1200)
    browser.get(path.as_uri())


def assert_quiet(browser) -> None:
    """Since the visit, nothing has failed and nothing has been requested from a network."""
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
    messages = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    sent = [line["params"] for line in messages if line["method"] == "Network.requestWillBeSent"]
    kinds = {line["request"]["url"].split(":")[0] for line in sent}
    assert "file" in kinds <= {"file", "data"}


def find_all(place, selector: str) -> list:
    return place.find_elements(By.CSS_SELECTOR, selector)


def find_barriers(browser) -> list:
    """Return what axe-core finds in light and dark; skip where it is missing."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed here (.ci/run installs it with npm)")
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    barriers = []
    for scheme in ("dark", "light"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        found = browser.execute_async_script("axe.run('.widget').then(arguments[0])")
        assert found["passes"]
        barriers += found["violations"]
    return barriers


# What came after the browsers that the page promises to run in. Object.hasOwn stays: the driver
# needs it.
NEWER = [
    *["Float16Array", "structuredClone", "Iterator", "DecompressionStream", "OffscreenCanvas"],
    *["scheduler", "Temporal", "Array.fromAsync", "Object.groupBy", "Map.groupBy", "Math.f16round"],
    *["Promise.try", "Promise.withResolvers", "Uint8Array.fromBase64", "RegExp.escape"],
    *["Set.prototype.union", "Set.prototype.difference", "DataView.prototype.getFloat16"],
    *[
        "String.prototype.at",
        "Element.prototype.checkVisibility",
        "Element.prototype.setHTMLUnsafe",
    ],
    *["PointerEvent.prototype.getCoalescedEvents", "CanvasRenderingContext2D.prototype.roundRect"],
]
for name in "at", "findLast", "findLastIndex", "toSorted", "toReversed", "with":
    NEWER += [f"Array.prototype.{name}", f"Float32Array.prototype.__proto__.{name}"]


@contextlib.contextmanager
def without_newer_things(browser) -> Iterator[None]:
    """Take away from every page what browsers of 2021 did not have."""
    script = "\n".join(f"delete window.{name};" for name in NEWER)
    command = "Page.addScriptToEvaluateOnNewDocument"
    added = browser.execute_cdp_cmd(command, {"source": script})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
