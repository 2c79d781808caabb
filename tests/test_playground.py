"""The playground: it computes as Keras does and can be used without a mouse or a network."""

import numpy as np
import pytest
from browsing import assert_quiet, find_all, visit, write_page
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from common.runtime import keras
from reporting.playground import pack as packing

L = keras.layers
DIGITS = [str(digit) for digit in range(10)]
SEVEN = [(-0.4, -0.42), (-0.25, -0.45), (-0.3, -0.2)]  # small, in a corner; shares, from the middle


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


# ---- Arithmetic: each kind of layer alone, and chains of them drawn at random ----


CASES = {
    "dense": lambda: [L.Flatten(), L.Dense(5)],
    "dense on rows": lambda: [L.Reshape((27, 3)), L.Dense(4, use_bias=False)],
    "convolution": lambda: [L.Conv2D(3, 3), L.Conv2D(4, 3, strides=(2, 1))],
    "convolution, even kernel, same": lambda: [L.Conv2D(3, (2, 4), strides=2, padding="same")],
    "convolution, strides over the kernel": lambda: [L.Conv2D(3, 2, strides=3, padding="same")],
    "convolution, dilation": lambda: [L.Conv2D(2, (3, 2), dilation_rate=(2, 3), padding="same")],
    "convolution without bias": lambda: [L.Conv2D(3, 5, use_bias=False)],
    "transposed": lambda: [L.Conv2D(3, 3), L.Conv2DTranspose(4, 3, padding="same")],
    "transposed, strides, same": lambda: [L.Conv2DTranspose(3, 3, strides=2, padding="same")],
    "transposed, even kernel": lambda: [L.Conv2DTranspose(2, (2, 4), strides=2, use_bias=False)],
    "transposed, strides over the kernel": lambda: [L.Conv2DTranspose(2, 2, strides=(3, 4))],
    "max pooling": lambda: [L.Conv2D(3, 2), L.MaxPooling2D()],
    "max pooling, same": lambda: [L.MaxPooling2D(3, strides=2, padding="same")],
    "average pooling": lambda: [L.Conv2D(3, 2), L.AveragePooling2D((2, 3))],
    "average pooling, same": lambda: [L.AveragePooling2D(4, strides=2, padding="same")],
    "global pooling": lambda: [L.Conv2D(3, 2), L.GlobalMaxPooling2D()],
    "global average": lambda: [L.Conv2D(3, 2), L.GlobalAveragePooling2D(keepdims=True)],
    "other sides": lambda: [
        *[L.Conv2D(3, 2), L.UpSampling2D((2, 3))],
        *[L.ZeroPadding2D(((1, 2), (0, 3))), L.Cropping2D(((3, 2), (1, 0)))],
    ],
    "normalization": lambda: [L.Conv2D(4, 2), L.BatchNormalization()],
    "normalization of rows": lambda: [L.Flatten(), L.BatchNormalization(scale=False, center=False)],
    "layers of activations": lambda: [
        *[L.Conv2D(3, 3), L.LeakyReLU(), L.ReLU(2.0, 0.125), L.ELU(0.5), L.Softmax()]
    ],
    "in training only": lambda: [
        *[L.Identity(), L.Dropout(0.5), L.SpatialDropout2D(0.5), L.AlphaDropout(0.5)],
        *[L.GaussianNoise(1.0), L.GaussianDropout(0.5), L.ActivityRegularization(1.0)],
    ],
    "nested": lambda: [keras.Sequential([L.Conv2D(3, 3), L.ReLU()]), L.MaxPooling2D()],
}
CASES |= {
    f"activation {name}": lambda name=name: [L.Conv2D(4, 3), L.Activation(name)]
    for name in [*packing.ACTIVATIONS, "linear"]
}


def draw_layers(seed: int) -> list:
    """Draw a chain of convolutions, pooling and their like."""
    random = np.random.default_rng(seed)

    def number(most):
        return int(random.integers(1, most + 1))

    def draw_layer():
        size, strides = (number(4), number(3)), (number(2), number(2))
        padding = random.choice(["valid", "same"])
        window = {"strides": strides, "padding": padding}
        convolution = {**window, "activation": random.choice(list(packing.ACTIVATIONS))}
        return random.choice(
            [
                lambda: L.Conv2D(number(4), size, **convolution),
                lambda: L.Conv2DTranspose(number(4), size, **convolution),
                lambda: L.MaxPooling2D(size, **window),
                lambda: L.AveragePooling2D(size, **window),
                lambda: L.BatchNormalization(),
                lambda: L.UpSampling2D((number(2), number(2))),
            ]
        )()

    return [L.UpSampling2D(2), *[draw_layer() for _ in range(3)], L.Flatten(), L.Dense(3)]


CASES |= {f"mixed {seed}": lambda seed=seed: draw_layers(seed) for seed in range(4)}


@pytest.fixture(scope="module")
def small_images():
    return np.random.default_rng(0).integers(0, 256, (6, 9, 9, 1)) / np.float32(255)


@pytest.fixture(scope="module")
def small(tensorflow, browser, small_images, tmp_path_factory) -> dict:
    """The networks of all cases, in one page that shows none of them as a classifier should."""
    networks = {}
    for seed, name in enumerate(CASES):
        networks[name] = build(CASES[name](), 9, seed)
    classifier = build([L.Flatten(), L.Dense(3, "softmax")], 9, 0)
    page = packing.pack_playground(
        {}, build([L.Identity()], 9, 0), small_images[:3], np.eye(3), ["a", "b", "c"]
    )
    page["networks"] = {
        name: packing.pack_network(network, small_images[:3])
        for name, network in {"classifier": classifier, **networks}.items()
    }
    path = tmp_path_factory.mktemp("small") / "page.html"
    write_page(path, playground=page)
    visit(browser, path)
    script = """
        const answers = {};
        for (const name of arguments[0]) {
          answers[name] = arguments[1].map((image) => [...playground.run(name, image)]);
        }
        return answers;
    """
    rows = small_images.reshape(len(small_images), -1).tolist()
    answers = browser.execute_script(script, list(networks), rows)
    assert_quiet(browser)
    left_out = " ".join(sentences(browser))
    return {
        name: (np.array(answers[name]), networks[name], f"leaves out {name}:" in left_out)
        for name in networks
    }


@pytest.mark.parametrize("name", CASES)
def test_browser_computes_what_keras_computes(small, small_images, name):
    answers, network, is_left_out = small[name]
    expected = compute(network, small_images)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(answers, expected, rtol=1e-5, atol=1e-4)
    assert not is_left_out


def test_every_kind_of_layer_has_a_case(small):
    kinds = {type(layer) for _, network, _ in small.values() for layer in network.layers}
    assert kinds >= {*packing.IDENTITY, *packing.TRANSLATIONS} - {L.InputLayer}


# ---- What is left out ----


def residual():
    start = keras.Input((9, 9, 1))
    sum_ = L.Add(name="add")([start, L.Conv2D(1, 3, padding="same")(start)])
    return keras.Model(start, L.Dense(3, "softmax")(L.Flatten()(sum_)))


def sequential(*layers, last="softmax"):
    return keras.Sequential([keras.Input((9, 9, 1)), *layers, L.Flatten(), L.Dense(3, last)])


LEFT_OUT = {
    "it cannot compute the layer add (Add).": residual,
    "it cannot compute the layer conv (Conv2D) with groups = 2.": lambda: sequential(
        L.Conv2D(4, 3), L.Conv2D(4, 3, groups=2, name="conv")
    ),
    "it cannot compute the activation mish of the layer conv.": lambda: sequential(
        L.Conv2D(2, 3, activation="mish", name="conv")
    ),
    "its answers are not 3 shares that are 1 together.": lambda: sequential(last="linear"),
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
    return [each.text for each in find_all(browser, ".left_out p")]


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
    reason = "its answer in this browser differs from Keras’s."
    assert sentences(browser) == [
        f"The playground leaves out CNN: {reason}",
        f"The playground leaves out the autoencoder: {reason}",
    ]
    assert titles(browser) == ["Drawn", "With noise", "Median filter"]
    assert names(browser) == {"Perceptron"}
    assert_quiet(browser)


def test_other_sides_and_named_classes(tensorflow, browser, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 14, 14, 1)) / np.float32(255)
    classifier = build([L.Flatten(), L.Dense(5, "softmax")], 14, 0)
    garments = ["shirt", "trouser", "dress", "<coat>", "bag"]
    denoiser = build([L.UpSampling2D(), L.AveragePooling2D(2)], 14, 0)
    page = packing.pack_playground(
        {"Dense": classifier}, denoiser, images, np.eye(5), garments, "Fashion-MNIST"
    )
    write_page(tmp_path / "page.html", playground=page)
    visit(browser, tmp_path / "page.html")
    assert find_all(browser, ".left_out p") == []
    for image, button in zip(images, find_all(browser, ".samples button"), strict=True):
        button.click()
        expected = garments[compute(classifier, image).argmax()]
        assert find(browser, "figure b").text == expected
    assert "Fashion-MNIST" in find(browser, "h2 + p").text
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
    # Else the page scrolls while a test points.
    browser.execute_script("document.querySelector('.playground').scrollIntoView()")
    yield browser
    assert_quiet(browser)


def find(page, selector: str):
    return page.find_element(By.CSS_SELECTOR, f".playground {selector}")


def shown(page) -> dict:
    """Return the images shown after the next update, as arrays (28, 28)."""
    page.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0]))")
    images = page.execute_script("return playground.images()")
    return {name: np.float32(image).reshape(28, 28) for name, image in images.items()}


def draw(page, places) -> None:
    sheet = find(page, ".sheet canvas")
    side = sheet.rect["width"]
    pen = ActionChains(page, duration=20)
    for index, (right, down) in enumerate(places):
        pen.move_to_element_with_offset(sheet, int(right * side), int(down * side))
        if index == 0:
            pen.click_and_hold()
    pen.release().perform()


def set_noise(page, level: float) -> None:
    script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
    page.execute_script(script, find(page, "[type=range]"), level)


def wait_for_status(page, text: str) -> None:
    WebDriverWait(page, 10).until(lambda _: text in find(page, "[role=status]").text)


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
    for kind, image in images.items():
        for name in ("Perceptron", "CNN"):
            body = find(page, f"[data-image={kind}] [data-name={name}]")
            cells = find_all(body, "td span")
            percents = [float(cell.get_property("textContent")[:-2]) for cell in cells]
            expected = compute(networks[name], image)[0]
            assert percents == pytest.approx(100 * expected, abs=0.06)
            assert body.find_element(By.TAG_NAME, "b").text == str(expected.argmax())


def test_drawing_is_scaled_and_centred_unless_switched_off(page):
    draw(page, SEVEN)
    image = shown(page)["drawn"]
    assert max(np.ptp(places) for places in np.nonzero(image)) + 1 == 20
    centre = [(image.sum(axis) * np.arange(28)).sum() / image.sum() for axis in (0, 1)]
    assert centre == pytest.approx([14, 14], abs=0.5)  # moved by whole pixels, as in MNIST
    find(page, "[type=checkbox]").click()
    assert max(places.max() for places in np.nonzero(shown(page)["drawn"])) < 14


def test_keyboard_alone_draws_and_picks(page):
    find(page, ".clear").click()
    wait_for_status(page, "Nothing is drawn.")
    keys = ActionChains(page).send_keys(Keys.TAB, " ", *[Keys.ARROW_DOWN] * 5, " ")
    keys.send_keys(*[Keys.ARROW_RIGHT] * 9).perform()
    wait_for_status(page, "Column 24, row 20, pen up. Drawn: Perceptron ")
    rows, columns = np.nonzero(shown(page)["drawn"])
    assert np.ptp(rows) + 1 == 20 > np.ptp(columns) + 1
    ActionChains(page).send_keys(Keys.TAB, *[Keys.TAB] * 8, Keys.ENTER).perform()
    wait_for_status(page, "Drawn: Perceptron ")
    assert np.ptp(np.nonzero(shown(page)["drawn"])[1]) + 1 == 10  # the ninth bar
