"""The playground: it computes as Keras does and can be used without a mouse or a network."""

import re

import numpy as np
import pytest
from browsing import assert_quiet, find_all, visit, without_newer_things, write_page
from conftest import ROOT
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from common.runtime import keras
from reporting.playground import pack as packing

AXE = ROOT / "node_modules/axe-core/axe.min.js"
L = keras.layers
DIGITS = [str(digit) for digit in range(10)]
# Strokes as places in a square of side 1.
SEVEN = [[(0.1, 0.1), (0.7, 0.05), (0.4, 0.9)]]
DRAWINGS = {
    "one": [[(0.5, 0), (0.4, 1)]],
    "four": [[(0.2, 0), (0.1, 0.5), (0.8, 0.5)], [(0.6, 0.1), (0.5, 1)]],
    "seven": SEVEN,
    "zigzag": [[(0, 0), (1, 0.3), (0, 0.6), (1, 0.9)]],
}


def build(layers, side: int, seed: int):
    """Build a network of `layers`; its weights are few sixteenths, as float16 holds them too."""
    network = keras.Sequential([keras.Input((side, side, 1)), *layers])
    random = np.random.default_rng(seed)
    for layer in network.layers:
        weights = [np.round(random.normal(0, 5, array.shape)) / 16 for array in layer.get_weights()]
        if isinstance(layer, L.BatchNormalization):
            weights[-1] = random.choice([0.25, 1, 4], weights[-1].shape) - layer.epsilon
        layer.set_weights(weights)
    return network


def compute(network, images):
    """Return what Keras answers to images (N, pixels or more axes): (N, outputs)."""
    shaped = np.float32(images).reshape(-1, *network.input_shape[1:])
    return np.asarray(network(shaped, training=False)).reshape(len(shaped), -1)


# ---- Arithmetic: three networks, in which every kind of layer and activation occurs ----


def convolutional():
    return [
        *[L.Conv2D(4, 3, activation="relu"), L.SpatialDropout2D(0.5), L.BatchNormalization()],
        *[L.MaxPooling2D(), L.Conv2D(6, (2, 3), strides=(2, 1), padding="same", activation="elu")],
        *[L.AveragePooling2D(2, strides=1, padding="same"), L.ReLU(negative_slope=0.125)],
        *[L.GlobalAveragePooling2D(), L.Dropout(0.5), L.Dense(5, "tanh"), L.Dense(3, "softmax")],
    ]


def perceptron():
    hidden = keras.Sequential([keras.Input((81,)), L.Dense(6, "silu"), L.Dense(6, "elu")])
    rows = [L.Reshape((2, 3)), L.Dense(4, "softmax", use_bias=False), L.Activation("leaky_relu")]
    normal = L.BatchNormalization(scale=False, center=False)
    return [L.Flatten(), hidden, *rows, normal, L.Flatten(), L.Dense(3, "softmax")]


def convolutional_autoencoder():
    return [
        *[L.GaussianNoise(1.0), L.Conv2D(3, 3, strides=2, padding="same", use_bias=False)],
        *[L.LeakyReLU(), L.Conv2DTranspose(4, (3, 2), strides=2, padding="same")],
        *[L.MaxPooling2D(3, strides=2, padding="same"), L.UpSampling2D((2, 3))],
        *[L.AveragePooling2D((2, 3), (1, 2)), L.Conv2DTranspose(1, (1, 3), activation="sigmoid")],
    ]


@pytest.fixture(scope="module")
def small_images():
    return np.random.default_rng(0).integers(0, 256, (6, 9, 9, 1)) / np.float32(255)


def kinds(network) -> set:
    parts = [kinds(layer) for layer in network.layers if isinstance(layer, keras.Sequential)]
    layers = [layer for layer in network.layers if not isinstance(layer, keras.Sequential)]
    found = {type(layer) for layer in layers}
    found |= {layer.get_config().get("activation", "linear") for layer in layers}
    return found.union(*parts)


def test_browser_computes_what_keras_computes(tensorflow, browser, small_images, tmp_path):
    networks = {
        "CNN": build(convolutional(), 9, 1),
        "Perceptron": build(perceptron(), 9, 2),
        "denoiser": build(convolutional_autoencoder(), 9, 3),
    }
    write_page(tmp_path / "page.html", playground=pack(small_images, **networks))
    visit(browser, tmp_path / "page.html")
    assert sentences(browser) == []
    rows = small_images.reshape(len(small_images), -1).tolist()
    script = "return arguments[1].map((image) => [...playground.run(arguments[0], image)])"
    for name, network in networks.items():
        expected = compute(network, small_images)
        assert np.ptp(expected) > 0.01
        answers = browser.execute_script(script, name, rows)
        np.testing.assert_allclose(answers, expected, rtol=1e-5, atol=1e-5)
    wanted = {*packing.IDENTITY, *packing.TRANSLATIONS, *packing.ACTIVATIONS} - {L.InputLayer}
    assert wanted <= set().union(*map(kinds, networks.values()))
    assert_quiet(browser)


# ---- What is left out ----


def residual():
    start = keras.Input((9, 9, 1))
    sum_ = L.Add(name="add")([start, L.Conv2D(1, 3, padding="same")(start)])
    return keras.Model(start, L.Dense(3, "softmax")(L.Flatten()(sum_)))


def sequential(*layers, last="softmax", side=9):
    network = [keras.Input((side, side, 1)), *layers, L.Flatten(), L.Dense(3, last)]
    return keras.Sequential(network)


def loud():
    network = sequential()
    network.set_weights([array + 1e6 for array in network.get_weights()])
    return network


LEFT_OUT = {
    "it cannot compute the layer add (Add).": residual,
    "it cannot compute the layer pad (ZeroPadding2D).": lambda: sequential(
        L.ZeroPadding2D(name="pad")
    ),
    "it cannot compute the layer conv (Conv2D) with groups = 2.": lambda: sequential(
        L.Conv2D(4, 3), L.Conv2D(4, 3, groups=2, name="conv")
    ),
    "it cannot compute the layer conv (Conv2D) with the activation mish.": lambda: sequential(
        L.Conv2D(2, 3, activation="mish", name="conv")
    ),
    "its answers are not 3 shares that are 1 together.": lambda: sequential(last="linear"),
    "it takes images of another size.": lambda: sequential(side=10),
    "it has numbers that are too large for half precision.": loud,
}


@pytest.mark.parametrize("reason", LEFT_OUT)
def test_network_that_it_cannot_compute_is_left_out(tensorflow, small_images, reason):
    page = pack(small_images, CNN=LEFT_OUT[reason]())
    assert page["left_out"] == [f"The playground leaves out CNN: {reason}"]
    assert list(page["networks"]) == ["Perceptron"]
    assert page["denoiser"]


def pack(small_images, **networks) -> dict:
    classifiers = {"CNN": sequential(L.Conv2D(2, 3)), "Perceptron": sequential()} | networks
    denoiser = classifiers.pop("denoiser", build([L.Conv2D(1, 3, padding="same")], 9, 0))
    return packing.pack_playground(
        classifiers, denoiser, small_images[:3], np.eye(3), ["a", "b", "c"]
    )


def titles(browser) -> list[str]:
    return [each.text for each in find_all(browser, ".playground figure > strong")]


def names(browser) -> set[str]:
    return {each.get_dom_attribute("data-name") for each in find_all(browser, "tbody")}


def sentences(browser) -> list[str]:
    return find(browser, ".left_out").text.splitlines()


def test_page_says_what_is_left_out(tensorflow, browser, small_images, tmp_path):
    denoiser = build([L.LayerNormalization(name="norm")], 9, 0)
    write_page(tmp_path / "page.html", playground=pack(small_images, denoiser=denoiser))
    visit(browser, tmp_path / "page.html")
    assert sentences(browser) == [
        "The playground leaves out the autoencoder: "
        "it cannot compute the layer norm (LayerNormalization)."
    ]
    assert titles(browser) == ["Drawn", "With noise", "Median filter"]
    assert names(browser) == {"CNN", "Perceptron"}
    assert_quiet(browser)


def test_network_that_fails_or_disagrees_with_keras_is_left_out(
    tensorflow, browser, small_images, tmp_path
):
    page = pack(small_images)
    page["networks"]["CNN"]["steps"][0]["does"] = "nothing known"
    page["denoiser"]["steps"][0]["before"] = [1, 0]
    write_page(tmp_path / "page.html", playground=page)
    visit(browser, tmp_path / "page.html")
    failed, differs = sentences(browser)
    assert failed.startswith("The playground leaves out CNN: it fails in this browser (")
    assert differs.endswith("the autoencoder: its answer in this browser differs from Keras’s.")
    assert titles(browser) == ["Drawn", "With noise", "Median filter"]
    assert names(browser) == {"Perceptron"}
    assert_quiet(browser)


def test_other_sides_and_named_classes(tensorflow, browser, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 14, 14, 1)) / np.float32(255)
    classifier = build([L.Flatten(), L.Dense(6, "softmax")], 14, 0)
    garments = ["shirt", "trouser", "dress", "<coat>", "bag", "never seen"]
    denoiser = build([L.UpSampling2D(), L.AveragePooling2D(2)], 14, 0)
    page = packing.pack_playground(
        {"Dense": classifier}, denoiser, images, np.eye(6)[:5], garments, "Fashion-MNIST"
    )
    write_page(tmp_path / "page.html", playground=page)
    visit(browser, tmp_path / "page.html")
    assert sentences(browser) == []
    for image, button in zip(images, find_all(browser, ".samples button"), strict=True):
        button.click()
        np.testing.assert_allclose(shown(browser, 14)["drawn"], image[..., 0], atol=1e-6)
        expected = garments[compute(classifier, image).argmax()]
        assert find(browser, "figure b").text == expected
    assert "Fashion-MNIST" in find(browser, ".tools").text
    assert not find(browser, "details").is_displayed(), "there is no convolution and no code"
    assert_quiet(browser)


# ---- What a visitor does ----


@pytest.fixture(scope="module")
def networks(tensorflow) -> dict:
    """Networks of the study's form, untrained: what they read matters here as little as why."""
    start = [L.Conv2D(4, 3, activation="relu"), L.MaxPooling2D(), L.Flatten()]
    code = [L.Flatten(), L.Dense(16, "relu"), L.Dense(784, "sigmoid")]
    return {
        "CNN": build([*start, L.Dense(10, "softmax")], 28, 1),
        "Perceptron": build([L.Flatten(), L.Dense(10, "softmax")], 28, 2),
        "denoiser": build(code, 28, 3),
    }


@pytest.fixture(scope="module")
def images():
    """Ten images (10, 28, 28, 1), a bar each, that are in the middle and 20 pixels high."""
    bars = np.zeros((10, 28, 28, 1), np.float32)
    for width, bar in enumerate(bars, start=2):
        left = 14 - (width - 1) // 2
        bar[5:25, left : left + width] = 1
    return bars


@pytest.fixture(scope="module")
def drawing_page(networks, images, tmp_path_factory):
    classifiers = {name: networks[name] for name in ("Perceptron", "CNN")}
    page = packing.pack_playground(classifiers, networks["denoiser"], images, np.eye(10), DIGITS)
    path = tmp_path_factory.mktemp("drawing") / "page.html"
    write_page(path, playground=page)
    return path


@pytest.fixture
def page(browser, drawing_page):
    """The playground in the browser; whatever a test does, nothing is requested or fails."""
    visit(browser, drawing_page)
    find(browser, ".clear").click()
    yield browser
    assert_quiet(browser)


def find(page, selector: str):
    return page.find_element(By.CSS_SELECTOR, f".playground {selector}")


def shown(page, side: int = 28) -> dict:
    """Return the images shown once all is computed, as arrays (side, side)."""
    WebDriverWait(page, 10).until(lambda _: not page.execute_script("return playground.isBusy()"))
    images = page.execute_script("return playground.images()")
    return {name: np.float32(image).reshape(side, side) for name, image in images.items()}


def draw(page, strokes, size: float = 0.7, corner: tuple = (0.15, 0.15)) -> None:
    """Draw with the mouse: strokes in a square that is `size` of the sheet's, from `corner` on."""
    sheet = find(page, ".sheet canvas")
    page.execute_script("arguments[0].scrollIntoView({ block: 'center' })", sheet)
    box = page.execute_script("return arguments[0].getBoundingClientRect()", sheet)

    def act(kind, place):
        right, down = (start + size * share for start, share in zip(corner, place, strict=True))
        at = {"x": box["x"] + box["width"] * right, "y": box["y"] + box["height"] * down}
        event = {"type": kind, "button": "left", "buttons": 1, "clickCount": 1}
        page.execute_cdp_cmd("Input.dispatchMouseEvent", event | at)

    for stroke in strokes:
        act("mousePressed", stroke[0])
        for place in stroke[1:]:
            act("mouseMoved", place)
        act("mouseReleased", stroke[-1])


def set_noise(page, level: float) -> None:
    script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
    page.execute_script(script, find(page, "[type=range]"), level)


def wait_for_status(page, text: str) -> None:
    status = find(page, "[role=status]")
    WebDriverWait(page, 10).until(lambda _: text in status.get_property("textContent"))


def test_page_shows_the_readings_of_its_images(page, networks):
    draw(page, SEVEN)
    set_noise(page, 0.3)
    images = shown(page)
    assert set(images) == {"drawn", "noisy", "filtered", "denoised"}
    denoised = compute(networks["denoiser"], images["noisy"])[0]
    np.testing.assert_allclose(images["denoised"].ravel(), denoised, atol=1e-5)
    # The median of nine pixels, with black outside.
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(images["noisy"], 1), (3, 3))
    median = np.median(windows.reshape(28, 28, 9), axis=2)
    np.testing.assert_array_equal(images["filtered"], median)
    for name in ("Perceptron", "CNN"):
        read = {}
        for kind, image in images.items():
            body = find(page, f"[data-image={kind}] [data-name={name}]")
            cells = find_all(body, "td span")
            percents = [float(cell.get_property("textContent")[:-2]) for cell in cells]
            expected = compute(networks[name], image)[0]
            assert percents == pytest.approx(100 * expected, abs=0.06)
            read[kind] = body.find_element(By.TAG_NAME, "b").text
            assert read[kind] == str(expected.argmax())
        marked = find_all(page, f".playground [data-name={name}].changed")
        assert len(marked) == sum(each != read["drawn"] for each in read.values())
        verdict = find(page, ".verdict").text
        assert f"{name} reads {read['drawn']}" in verdict
        for kind, phrase in (("noisy", "with noise"), ("filtered", "after the filter")):
            assert (f"{read[kind]} {phrase}" in verdict) == (read[kind] != read["drawn"])


@pytest.mark.parametrize("name", DRAWINGS)
def test_small_drawing_gives_the_image_of_a_large_one(page, name):
    """Both are scaled to MNIST's size and centred; strokes keep their width."""
    draw(page, DRAWINGS[name])
    large = shown(page)["drawn"]
    find(page, ".clear").click()
    draw(page, DRAWINGS[name], size=0.2, corner=(0.6, 0.05))
    small = shown(page)["drawn"]
    assert np.abs(large - small).mean() < 0.01
    for image in (large, small):
        assert max(np.ptp(places) for places in np.nonzero(image)) + 1 in (20, 21)
        centre = [(image.sum(axis) * np.arange(28)).sum() / image.sum() for axis in (0, 1)]
        assert centre == pytest.approx([13.5, 13.5], abs=0.51)  # moved by whole pixels


def test_scaling_can_be_switched_off(page):
    draw(page, SEVEN, size=0.2, corner=(0.1, 0.1))
    find(page, "[type=checkbox]").click()
    places = np.nonzero(shown(page)["drawn"])
    assert max(axis.max() for axis in places) < 0.4 * 28


@pytest.mark.parametrize("scaled", [True, False])
def test_tap_draws_a_dot(page, scaled):
    if not scaled:
        find(page, "[type=checkbox]").click()
    draw(page, [[(0.5, 0.5)]])
    dot = shown(page)["drawn"]
    assert 2 < dot.sum() < 8
    assert (np.abs(np.argwhere(dot) - 13.5) < 3).all()


COUNT_PASSES = """
  arguments[0].addEventListener("pointerdown", ({ pointerId, clientX, clientY }) => {
    Object.assign(window, { pointerId, from: [clientX, clientY], passes: 0 });
  });
  const { putImageData } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.putImageData = function (...rest) {
    if (this.canvas.closest("[data-image=drawn]")) window.passes += 1;
    return putImageData.apply(this, rest);
  };
"""
MOVE_AT_ONCE = """
  for (let step = 1; step <= 50; step += 1) {
    const place = { clientX: from[0] + 2 * step, clientY: from[1] + step };
    arguments[0].dispatchEvent(new PointerEvent("pointermove", { pointerId, ...place }));
  }
"""


def test_networks_run_once_a_frame_at_most_and_read_the_last_state(page):
    """Fifty movements come at once, while a real mouse holds its button."""
    sheet = find(page, ".sheet canvas")
    page.execute_script(COUNT_PASSES, sheet)
    ActionChains(page).move_to_element(sheet).click_and_hold().perform()
    page.execute_script(MOVE_AT_ONCE, sheet)
    hurried = shown(page)["drawn"]
    ActionChains(page).release().perform()
    assert 1 <= page.execute_script("return passes") <= 3
    find(page, "[type=checkbox]").click()
    find(page, "[type=checkbox]").click()
    calm = shown(page)["drawn"]
    assert np.ptp(np.nonzero(calm)[1]) + 1 in (20, 21)
    np.testing.assert_array_equal(hurried, calm)


def test_keyboard_alone_draws_and_picks(page):
    wait_for_status(page, "Nothing is drawn.")
    keys = ActionChains(page).send_keys(Keys.TAB, " ", *[Keys.ARROW_DOWN] * 5, " ")
    keys.send_keys(*[Keys.ARROW_RIGHT] * 9).perform()
    wait_for_status(page, "Column 24, row 20, pen up. Perceptron reads ")
    rows, columns = np.nonzero(shown(page)["drawn"])
    assert np.ptp(rows) + 1 in (20, 21) and np.ptp(columns) + 1 < 6
    find_all(page, ".samples button")[7].send_keys(Keys.TAB, Keys.ENTER)
    wait_for_status(page, "Perceptron reads ")
    assert np.ptp(np.nonzero(shown(page)["drawn"])[1]) + 1 == 10  # the ninth bar


READ_CANVAS = """
  const { width, height } = arguments[0];
  const { data } = arguments[0].getContext("2d").getImageData(0, 0, width, height);
  return [width, height, [...data].filter((_, index) => index % 4 === 3)];
"""


def test_inside_shows_the_first_convolution_and_the_code(page, networks):
    draw(page, SEVEN)
    find(page, "summary").click()
    figures = find_all(page, ".playground details figure")
    maps = "CNN: the maps of its first convolution, 4 of 26 × 26"
    assert [each.text for each in figures] == [maps, "The autoencoder’s code, 16 numbers"]
    noisy = shown(page)["noisy"]
    # The first map, and the first row of the code.
    for figure, name, index in zip(figures, ("CNN", "denoiser"), (0, 1), strict=True):
        part = keras.Sequential([keras.Input((28, 28, 1)), *networks[name].layers[: index + 1]])
        expected = compute(part, noisy).reshape(part.output_shape[1:])
        expected = expected / expected.max()
        canvas = figure.find_element(By.TAG_NAME, "canvas")
        width, height, ink = page.execute_script(READ_CANVAS, canvas)
        shade = np.reshape(ink, (height, width)) / 255
        if name == "CNN":
            np.testing.assert_allclose(shade[:26, :26], expected[..., 0], atol=0.003)
        else:
            np.testing.assert_allclose(shade[0], expected[:width], atol=0.003)


def test_answers_stand_right_below_the_sheet_on_a_phone(page):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    find_all(page, ".samples button")[0].click()
    shown(page)
    sheet, verdict = (find(page, each).rect for each in (".sheet", ".verdict"))
    targets = [button.rect for button in find_all(page, ".playground :is(button, summary, label)")]
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert 0 <= verdict["y"] - sheet["y"] - sheet["height"] < 20
    assert min(min(target["width"], target["height"]) for target in targets) >= 24


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page, scheme):
    if not AXE.exists():
        pytest.skip("axe-core is not installed here (.ci/run installs it with npm)")
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    draw(page, SEVEN)
    set_noise(page, 0.5)
    find(page, "summary").click()
    shown(page)
    page.execute_script(AXE.read_text(encoding="utf-8"))
    found = page.execute_async_script("axe.run('.playground').then(arguments[0])")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert found["passes"]
    assert found["violations"] == []


# ---- The oldest browsers: Chrome and Edge 96, Firefox 94, Safari 15, of the end of 2021 ----


def test_browser_of_2021_loses_nothing(browser, drawing_page, networks):
    with without_newer_things(browser):
        visit(browser, drawing_page)
        assert browser.execute_script("return typeof Float16Array") == "undefined"
        assert not find_all(browser, ".needs")[0].is_displayed()
        assert sentences(browser) == []
        assert names(browser) == {"CNN", "Perceptron"}
        draw(browser, SEVEN)
        images = shown(browser)
        denoised = compute(networks["denoiser"], images["noisy"])[0]
        np.testing.assert_allclose(images["denoised"].ravel(), denoised, atol=1e-5)
        assert_quiet(browser)


NEWER = {
    "CSS nesting": r"^\s*&|\{[^{}@]*;[^{}]*[.#:][\w-]+[^{};:]*\{",
    "CSS functions": r"light-dark\(|color-mix\(|oklch\(|\d[dsl]v[hw]\b",
    "CSS rules": r"@container|@layer|@scope|@starting-style|@media[^{]*[<>]|overflow: clip",
    ":has() in a list, which all of it would be skipped with": r",[^{]*:has\(|:has\([^{]*,",
    "CSS transforms": r"[;{]\s*(translate|scale|rotate):",
    "methods": r"\.(at|findLast|findLastIndex|toSorted|toReversed|toSpliced|with)\(",
    "functions": r"structuredClone|hasOwn|groupBy|fromAsync|withResolvers|fromBase64|Float16",
    "syntax": r"\(\?<[=!]|static \{|import [^;]* with \{|popover|showPopover|inert",
}


@pytest.mark.parametrize("name", NEWER)
def test_page_is_written_for_browsers_of_2021(name):
    """What no global stands for, and so cannot be taken away, is looked for."""
    folder = ROOT / "stages/reporting"
    for path in sorted([*folder.rglob("*.j2"), *folder.rglob("*.js")]):
        if path.suffix == ".js" or path.name.endswith(".html.j2"):
            lines = path.read_text(encoding="utf-8").splitlines()
            found = [line for line in lines if re.search(NEWER[name], line)]
            found = [line for line in found if not line.strip().startswith("//")]
            assert found == [], path.name


def test_page_without_javascript_says_what_it_needs(browser, drawing_page):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    visit(browser, drawing_page)
    needs, playground = find_all(browser, ".needs, .playground")
    seen = needs.is_displayed(), playground.is_displayed()
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert seen == (True, False)
    for oldest in ("Chrome or Edge 96", "Firefox 94", "Safari 15"):
        assert oldest in needs.text
