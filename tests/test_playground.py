"""The playground: it computes as Keras does, whatever it is drawn with, in old browsers too."""

import browsing
import numpy as np
import pandas as pd
import pytest
from browsing import assert_quiet, build, compute, find, find_all, visit, write_page
from scipy.ndimage import center_of_mass, median_filter
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from common.runtime import keras
from reporting.playground import pack as packing

L = keras.layers
SMALL_IMAGES = np.random.default_rng(0).integers(0, 256, (6, 9, 9, 1)) / np.float32(255)
LABELS = np.eye(3)[[0, 1, 0, 1, 0, 1]]
NAMES = ["shirt", "<coat>", "never seen"]
# Strokes as places in a square of side 1.
FOUR = [[(0.2, 0), (0.1, 0.5), (0.8, 0.5)], [(0.6, 0.1), (0.5, 1)]]
PHRASES = {"noisy": "with noise", "filtered": "after the filter", "denoised": "after denoising"}


@pytest.fixture(scope="module")
def example(tensorflow, tmp_path_factory):
    return browsing.write_example(tmp_path_factory.mktemp("playground") / "page.html")


@pytest.fixture
def page(browser, example):
    """An empty sheet in the browser; whatever a test does, nothing is requested or fails."""
    visit(browser, example[0])
    find(browser, ".clear").click()
    yield browser
    assert_quiet(browser)


def left_out(page) -> dict[str, str]:
    """Return why networks are left out, by their names."""
    lines = find(page, ".left_out").text.splitlines()
    return dict(line.removeprefix("The playground leaves out ").split(": ", 1) for line in lines)


def shown(page, side: int = 28) -> dict:
    """Return the images shown once all is computed, as arrays (side, side)."""
    WebDriverWait(page, 10).until(lambda _: not page.execute_script("return playground.isBusy()"))
    images = page.execute_script("return playground.images()")
    return {name: np.float32(image).reshape(side, side) for name, image in images.items()}


def draw(page, strokes, size: float = 0.7, corner: tuple = (0.15, 0.15)) -> None:
    """Draw with the mouse: strokes in a square that is `size` of the sheet's, from `corner` on."""
    sheet = find(page, ".sheet canvas")
    mouse = ActionChains(page, duration=0)
    for stroke in strokes:
        from_middle = corner + size * np.array(stroke) - 0.5
        first, *others = (from_middle * sheet.rect["width"]).round().astype(int).tolist()
        mouse.move_to_element_with_offset(sheet, *first).click_and_hold()
        for place in others:
            mouse.move_to_element_with_offset(sheet, *place)
        mouse.release()
    mouse.perform()


def pack(denoiser=None, **classifiers) -> dict:
    denoiser = denoiser or build([L.Conv2D(1, 3, padding="same")], 9, 0)
    return packing.pack_playground(classifiers, denoiser, SMALL_IMAGES, LABELS, NAMES)


def test_browser_of_2021_computes_what_keras_computes(tensorflow, browser, tmp_path):
    """Three networks have every kind of layer and activation that pack.py knows."""
    layers = {
        "CNN": [
            L.Conv2D(4, 3, activation="relu"),
            L.SpatialDropout2D(0.5),
            L.BatchNormalization(),
            L.Conv2D(6, (2, 3), strides=(2, 1), padding="same", activation="elu"),
            L.AveragePooling2D(2, strides=1, padding="same"),
            L.ReLU(negative_slope=0.125),
            L.GlobalAveragePooling2D(),
            L.Dropout(0.5),
            L.Dense(3, "softmax"),
        ],
        "Perceptron": [
            L.Flatten(),
            keras.Sequential([keras.Input((81,)), L.Dense(6, "silu"), L.Dense(6, "tanh")]),
            L.Reshape((2, 3)),
            L.Dense(4, "softmax", use_bias=False),
            L.Activation("leaky_relu"),
            L.BatchNormalization(scale=False, center=False),
            L.Flatten(),
            L.Dense(3, "softmax"),
        ],
        "denoiser": [
            L.GaussianNoise(1.0),
            L.Conv2D(3, 3, strides=2, padding="same", use_bias=False),
            L.LeakyReLU(),
            L.UpSampling2D((2, 3)),
            L.MaxPooling2D(3, strides=(4, 5), padding="same"),
            L.Conv2DTranspose(1, (4, 5), strides=3, padding="same", activation="sigmoid"),
        ],
    }
    networks = {name: build(layers[name], 9, seed) for seed, name in enumerate(layers, 1)}
    settings = str([network.get_config() for network in networks.values()])
    kinds = [kind.__name__ for kind in (*packing.IDENTITY, *packing.TRANSLATIONS)]
    assert [name for name in (*kinds, *packing.ACTIVATIONS) if f"'{name}'" not in settings] == []
    write_page(tmp_path / "page.html", playground=pack(**networks))
    visit(browser, tmp_path / "page.html")
    assert browser.execute_script("return typeof Float16Array") == "undefined"
    assert not find(browser, ".needs").is_displayed()
    assert left_out(browser) == {}
    script = "return arguments[1].map((image) => [...playground.run(arguments[0], image.flat(2))])"
    for name, network in networks.items():
        expected = compute(network, SMALL_IMAGES)
        assert np.ptp(expected) > 0.01
        answers = browser.execute_script(script, name, SMALL_IMAGES.tolist())
        np.testing.assert_allclose(answers, expected, rtol=1e-5, atol=1e-5)
    assert_quiet(browser)


def classifier(*layers, last: str = "softmax") -> keras.Model:
    return build([*layers, L.Flatten(), L.Dense(3, last)], 9, 0)


def test_networks_it_cannot_compute_are_left_out_with_the_reason(tensorflow, browser, tmp_path):
    """Some are left out while the page is made, others by the browser."""
    packed = pack(
        build([L.LayerNormalization(name="norm")], 9, 0),
        Good=classifier(),
        Dilated=classifier(L.Conv2D(2, 3, dilation_rate=2, name="own")),
        Mish=classifier(L.Dense(2, "mish", name="own")),
        Linear=classifier(last="linear"),
        Failing=classifier(),
        Differing=classifier(),
    )
    packed["networks"]["Failing"]["steps"][0]["does"] = "nothing known"
    packed["networks"]["Differing"]["steps"].pop()
    write_page(tmp_path / "page.html", playground=packed)
    visit(browser, tmp_path / "page.html")
    reasons = left_out(browser)
    assert reasons.pop("Failing").startswith("it fails in this browser (")
    assert reasons == {
        "Dilated": "it cannot compute the layer own (Conv2D) with dilation_rate = (2, 2).",
        "Mish": "it cannot compute the layer own (Dense) with the activation mish.",
        "Linear": "its answers are not 3 shares that are 1 together.",
        "the autoencoder": "it cannot compute the layer norm (LayerNormalization).",
        "Differing": "its answer in this browser differs from Keras’s.",
    }
    titles = [each.text for each in find_all(browser, ".playground figure > strong")]
    assert titles == ["Drawn", "With noise", "Median filter"]
    assert {each.get_attribute("data-name") for each in find_all(browser, "tbody")} == {"Good"}
    assert_quiet(browser)


def test_images_may_have_other_sides_and_classes_names(tensorflow, browser, tmp_path):
    network = classifier()
    curves = {"Dense": pd.Series([1.0], [0.3])}
    reading = packing.pack_reading(SMALL_IMAGES, LABELS, NAMES, curves)
    write_page(tmp_path / "page.html", pack(Dense=network), reading)
    visit(browser, tmp_path / "page.html")
    for image, button in zip(SMALL_IMAGES[:2], find_all(browser, ".samples button"), strict=True):
        button.click()
        np.testing.assert_allclose(shown(browser, 9)["drawn"], image[..., 0], atol=1e-6)
        assert find(browser, "figure b").text == NAMES[compute(network, image).argmax()]
    assert find(browser, "figure canvas").get_dom_attribute("width") == "9"
    draw(browser, FOUR)
    assert shown(browser, 9)["drawn"].max() > 0.5
    find(browser, ".start").click()
    buttons = find_all(browser, ".reading .answers:not(:has(.pass)) button")
    assert [button.text for button in buttons] == ["0 shirt", "1 <coat>", "2 never seen"]
    assert_quiet(browser)


SEED = "let n = 0; Math.random = () => { n += 1; return (0.618034 * n * n) % 1; };"


def test_page_shows_what_networks_read_and_marks_what_changes(page, example):
    """The noise is the same in every run, and changes what both networks read."""
    _, networks = example
    page.execute_script(SEED)
    find(page, ".clear").click()
    draw(page, FOUR)
    find(page, "[type=range]").send_keys(Keys.ARROW_LEFT * 20)  # from 0.5 to 0.3
    images = shown(page)
    assert (images["noisy"] != images["drawn"]).mean() == pytest.approx(0.15, abs=0.03)
    median = median_filter(images["noisy"], size=3, mode="constant")
    np.testing.assert_array_equal(images["filtered"], median)
    denoised = compute(networks["denoiser"], images["noisy"])[0]
    np.testing.assert_allclose(images["denoised"].ravel(), denoised, atol=1e-5)
    verdicts = find(page, ".verdict").text.splitlines()
    for name, verdict in zip(("Perceptron", "CNN"), verdicts, strict=True):
        clean = compute(networks[name], images["drawn"]).argmax()
        assert verdict.startswith(f"{name} reads {clean}")
        for kind, phrase in PHRASES.items():
            shares = compute(networks[name], images[kind])[0]
            read = shares.argmax()
            body = find(page, f"[data-image={kind}] [data-name={name}]")
            cells = [cell.get_property("textContent") for cell in find_all(body, "td span")]
            assert [float(cell[:-2]) for cell in cells] == pytest.approx(100 * shares, abs=0.06)
            assert find(body, "b").text == str(read)
            assert (body.get_attribute("class") == "changed") == (read != clean)
            assert (f"{read} {phrase}" in verdict) == (read != clean)
        assert "but" in verdict


def test_small_drawing_gives_the_image_of_a_large_one(page):
    """Both are scaled to MNIST's size and centred, to a pixel; strokes keep their width."""
    draw(page, FOUR)
    large = shown(page)["drawn"]
    find(page, ".clear").click()
    draw(page, FOUR, size=0.25, corner=(0.6, 0.05))
    small = shown(page)["drawn"]
    assert np.abs(large - small).mean() < 0.02
    assert max(np.ptp(places) for places in np.nonzero(large)) + 1 in (20, 21)
    assert center_of_mass(large) == pytest.approx((13.5, 13.5), abs=0.51)


def test_tap_draws_a_dot_in_the_middle_or_without_scaling_where_it_was(page):
    draw(page, [[(0, 0)]], corner=(0.25, 0.25))
    for middle in (13.5, 6.5):
        dot = shown(page)["drawn"]
        assert 2 < dot.sum() < 8
        assert (np.abs(np.argwhere(dot) - middle) < 3).all()
        find(page, "[type=checkbox]").click()


DRAW_WHILE_NETWORKS_READ = """
  const [sheet, verdict] = arguments;
  window.verdicts = [];
  new MutationObserver((more) => verdicts.push(...more)).observe(verdict, { childList: true });
  sheet.setPointerCapture = () => {};
  sheet.hasPointerCapture = () => true;
  const { left, top, width } = sheet.getBoundingClientRect();
  let share = 0.3; // of the sheet's width
  const draw = (event) => {
    const place = { clientX: left + share * width, clientY: top + width / 2, isPrimary: true };
    sheet.dispatchEvent(new PointerEvent(event, place));
  };
  let clock = 0;
  performance.now = () => { // at each look, much time has passed, and the pen has moved
    clock += 1000;
    share += 0.02;
    if (share < 0.71) draw("pointermove");
    return clock;
  };
  draw("pointerdown");
  return sheet.getContext("2d").getImageData(0.3 * sheet.width, sheet.height / 2, 1, 1).data[3];
"""


def test_ink_is_there_at_once_and_slow_networks_read_the_last_state(page):
    find(page, "[type=checkbox]").click()  # no scaling
    sheet, verdict = (find(page, selector) for selector in (".sheet canvas", ".verdict"))
    assert page.execute_script(DRAW_WHILE_NETWORKS_READ, sheet, verdict) == 255
    columns = np.nonzero(shown(page)["drawn"])[1]
    assert np.ptp(columns) == pytest.approx(0.4 * 28, abs=3)
    assert 1 <= page.execute_script("return verdicts.length") <= 3


def test_keyboard_alone_draws_and_picks(page):
    keys = ActionChains(page).send_keys(Keys.TAB, " ", *[Keys.ARROW_DOWN] * 5, " ")
    keys.send_keys(*[Keys.ARROW_RIGHT] * 9).perform()
    rows, columns = np.nonzero(shown(page)["drawn"])
    assert np.ptp(rows) + 1 in (20, 21)
    assert np.ptp(columns) + 1 < 6
    status = find(page, "[role=status]")
    told = "Column 24, row 20, pen up. Perceptron reads "
    WebDriverWait(page, 10).until(lambda _: told in status.get_property("textContent"))
    find_all(page, ".samples button")[7].send_keys(Keys.TAB, Keys.ENTER)
    np.testing.assert_array_equal(shown(page)["drawn"], browsing.IMAGES[8, ..., 0])


READ_PIXELS = """
  const [canvas, width, height] = arguments;
  return [...canvas.getContext("2d").getImageData(0, 0, width, height).data];
"""


def test_inside_shows_the_first_convolution_and_the_code(page, example):
    _, networks = example
    draw(page, FOUR)
    find(page, "summary").click()
    noisy = shown(page)["noisy"]
    maps = np.asarray(networks["CNN"].layers[0](noisy.reshape(1, 28, 28, 1)))[0]
    code = np.asarray(networks["denoiser"].layers[1](noisy.reshape(1, 784)))[0]
    views = {
        "4 of 26 × 26": ((26, 26), maps[..., 0] / maps.max()),
        "16 numbers": ((6, 2), code[:12] / code.max()),
    }
    figures = find_all(page, ".playground details figure")
    for figure, (title, (size, values)) in zip(figures, views.items(), strict=True):
        assert figure.text.endswith(title)
        pixels = page.execute_script(READ_PIXELS, find(figure, "canvas"), *size)
        ink = np.reshape(pixels, (-1, 4))[:, 3] / 255
        np.testing.assert_allclose(ink, values.ravel(), atol=0.003)
