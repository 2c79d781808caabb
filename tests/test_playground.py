"""The playground: it computes as Keras does, whatever it is drawn with, in old browsers too."""

import re

import browsing
import numpy as np
import pytest
from browsing import assert_quiet, build, compute, find_all, visit, write_page
from conftest import ROOT
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from common.runtime import keras
from reporting.playground import pack as packing

L = keras.layers
SMALL_IMAGES = np.random.default_rng(0).integers(0, 256, (6, 9, 9, 1)) / np.float32(255)
# Strokes as places in a square of side 1.
FOUR = [[(0.2, 0), (0.1, 0.5), (0.8, 0.5)], [(0.6, 0.1), (0.5, 1)]]


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


def find(page, selector: str):
    return page.find_element(By.CSS_SELECTOR, f".playground {selector}")


def sentences(page) -> list[str]:
    """Return what the page says of networks that it leaves out."""
    return find(page, ".left_out").text.splitlines()


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
        for place in stroke:
            shares = (start + size * share for start, share in zip(corner, place, strict=True))
            # Offsets are from the middle.
            right, down = (round((share - 0.5) * sheet.rect["width"]) for share in shares)
            mouse.move_to_element_with_offset(sheet, right, down)
            if place is stroke[0]:
                mouse.click_and_hold()
        mouse.release()
    mouse.perform()


READ_CANVAS = """
  const { width, height } = arguments[0];
  const { data } = arguments[0].getContext("2d").getImageData(0, 0, width, height);
  return [height, width, [...data].filter((_, index) => index % 4 === 3)];
"""


def read_canvas(page, canvas, before: str = "") -> np.ndarray:
    """Return a canvas's ink (height, width) in [0, 1], just after the script `before`."""
    height, width, ink = page.execute_script(before + READ_CANVAS, canvas)
    return np.reshape(ink, (height, width)) / 255


# ---- What it computes ----


def convolutional() -> list:
    return [
        L.Conv2D(4, 3, activation="relu"),
        L.SpatialDropout2D(0.5),
        L.BatchNormalization(),
        L.MaxPooling2D(),
        L.Conv2D(6, (2, 3), strides=(2, 1), padding="same", activation="elu"),
        L.AveragePooling2D(2, strides=1, padding="same"),
        L.ReLU(negative_slope=0.125),
        L.GlobalAveragePooling2D(),
        L.Dropout(0.5),
        L.Dense(5, "tanh"),
        L.Dense(3, "softmax"),
    ]


def dense() -> list:
    return [
        L.Flatten(),
        keras.Sequential([keras.Input((81,)), L.Dense(6, "silu"), L.Dense(6, "elu")]),
        L.Reshape((2, 3)),
        L.Dense(4, "softmax", use_bias=False),
        L.Activation("leaky_relu"),
        L.BatchNormalization(scale=False, center=False),
        L.Flatten(),
        L.Dense(3, "softmax"),
    ]


def convolutional_autoencoder() -> list:
    return [
        L.GaussianNoise(1.0),
        L.Conv2D(3, 3, strides=2, padding="same", use_bias=False),
        L.LeakyReLU(),
        L.Conv2DTranspose(4, (3, 2), strides=2, padding="same"),
        L.MaxPooling2D(3, strides=2, padding="same"),
        L.UpSampling2D((2, 3)),
        L.AveragePooling2D((2, 3), (1, 2)),
        L.Conv2DTranspose(1, (1, 3), activation="sigmoid"),
    ]


def sequential(*layers, last: str = "softmax", side: int = 9) -> keras.Model:
    return keras.Sequential([keras.Input((side, side, 1)), *layers, L.Flatten(), L.Dense(3, last)])


def pack(denoiser=None, **classifiers) -> dict:
    denoiser = denoiser or build([L.Conv2D(1, 3, padding="same")], 9, 0)
    return packing.pack_playground(
        classifiers, denoiser, SMALL_IMAGES[:3], np.eye(3), ["a", "b", "c"]
    )


def test_browser_computes_what_keras_computes(tensorflow, browser, tmp_path):
    """Three networks, in which every kind of layer and activation occurs that pack.py knows."""
    networks = {
        "CNN": build(convolutional(), 9, 1),
        "Perceptron": build(dense(), 9, 2),
        "denoiser": build(convolutional_autoencoder(), 9, 3),
    }
    settings = str([network.get_config() for network in networks.values()])
    for kind in (*packing.IDENTITY, *packing.TRANSLATIONS):
        assert f"'{kind.__name__}'" in settings
    for activation in packing.ACTIVATIONS:
        assert f"'{activation}'" in settings
    write_page(tmp_path / "page.html", playground=pack(**networks))
    visit(browser, tmp_path / "page.html")
    assert sentences(browser) == []
    rows = SMALL_IMAGES.reshape(len(SMALL_IMAGES), -1).tolist()
    script = "return arguments[1].map((image) => [...playground.run(arguments[0], image)])"
    for name, network in networks.items():
        expected = compute(network, SMALL_IMAGES)
        assert np.ptp(expected) > 0.01
        answers = browser.execute_script(script, name, rows)
        np.testing.assert_allclose(answers, expected, rtol=1e-5, atol=1e-5)
    assert_quiet(browser)


LEFT_OUT = {
    "it cannot compute the layer own (Conv2D) with groups = 2": lambda: sequential(
        L.Conv2D(2, 3), L.Conv2D(4, 3, groups=2, name="own")
    ),
    "it cannot compute the layer own (Dense) with the activation mish": lambda: sequential(
        L.Dense(2, "mish", name="own")
    ),
    "its answers are not 3 shares that are 1 together": lambda: sequential(last="linear"),
    "it takes images of another size": lambda: sequential(side=10),
    "it has numbers that are too large for half precision": lambda: sequential(
        L.Dense(2, kernel_initializer=keras.initializers.Constant(1e6))
    ),
}


@pytest.mark.parametrize("reason", LEFT_OUT)
def test_network_that_it_cannot_compute_is_left_out(tensorflow, reason):
    packed = pack(Good=sequential(), Bad=LEFT_OUT[reason]())
    assert packed["left_out"] == [f"The playground leaves out Bad: {reason}."]
    assert list(packed["networks"]) == ["Good"]
    assert packed["denoiser"]


def test_page_says_what_is_left_out_before_and_in_the_browser(tensorflow, browser, tmp_path):
    denoiser = build([L.LayerNormalization(name="norm")], 9, 0)
    classifiers = {name: sequential() for name in ("Good", "Failing", "Differing")}
    packed = pack(denoiser, **classifiers)
    packed["networks"]["Failing"]["steps"][0]["does"] = "nothing known"
    packed["networks"]["Differing"]["steps"].pop()
    write_page(tmp_path / "page.html", playground=packed)
    visit(browser, tmp_path / "page.html")
    unknown, failing, differing = sentences(browser)
    assert unknown.endswith(
        "the autoencoder: it cannot compute the layer norm (LayerNormalization)."
    )
    assert failing.startswith("The playground leaves out Failing: it fails in this browser (")
    assert differing.endswith("Differing: its answer in this browser differs from Keras’s.")
    titles = [each.text for each in find_all(browser, ".playground figure > strong")]
    assert titles == ["Drawn", "With noise", "Median filter"]
    names = {each.get_dom_attribute("data-name") for each in find_all(browser, "tbody")}
    assert names == {"Good"}
    assert_quiet(browser)


def test_other_sides_and_named_classes(tensorflow, browser, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 14, 14, 1)) / np.float32(255)
    classifier = build([L.Flatten(), L.Dense(6, "softmax")], 14, 0)
    garments = ["shirt", "trouser", "dress", "<coat>", "bag", "never seen"]
    denoiser = build([L.UpSampling2D(), L.AveragePooling2D(2)], 14, 0)
    packed = packing.pack_playground(
        {"Dense": classifier}, denoiser, images, np.eye(6)[:5], garments, "Fashion-MNIST"
    )
    write_page(tmp_path / "page.html", playground=packed)
    visit(browser, tmp_path / "page.html")
    assert sentences(browser) == []
    for image, button in zip(images, find_all(browser, ".samples button"), strict=True):
        button.click()
        np.testing.assert_allclose(shown(browser, 14)["drawn"], image[..., 0], atol=1e-6)
        assert find(browser, "figure b").text == garments[compute(classifier, image).argmax()]
    assert "Fashion-MNIST" in find(browser, ".tools").text
    assert not find(browser, "details").is_displayed(), "there is no convolution and no code"
    assert_quiet(browser)


# ---- What a visitor draws and sees ----


def test_page_shows_what_networks_read_in_its_images(page, example):
    _, networks = example
    draw(page, FOUR)
    find(page, "[type=range]").send_keys(Keys.ARROW_LEFT * 20)  # from 0.5 to 0.3
    images = shown(page)
    assert set(images) == {"drawn", "noisy", "filtered", "denoised"}
    assert (images["noisy"] != images["drawn"]).mean() == pytest.approx(0.15, abs=0.07)
    denoised = compute(networks["denoiser"], images["noisy"])[0]
    np.testing.assert_allclose(images["denoised"].ravel(), denoised, atol=1e-5)
    # The median of nine pixels, with black outside.
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(images["noisy"], 1), (3, 3))
    median = np.median(windows.reshape(28, 28, 9), axis=2)
    np.testing.assert_array_equal(images["filtered"], median)
    verdicts = find(page, ".verdict").text.splitlines()
    for name, verdict in zip(("Perceptron", "CNN"), verdicts, strict=True):
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
        assert f"{name} reads {read['drawn']}" in verdict
        for kind, phrase in (("noisy", "with noise"), ("filtered", "after the filter")):
            assert (f"{read[kind]} {phrase}" in verdict) == (read[kind] != read["drawn"])


def test_small_drawing_gives_the_image_of_a_large_one(page):
    """Both are scaled to MNIST's size and centred; strokes keep their width."""
    draw(page, FOUR)
    large = shown(page)["drawn"]
    find(page, ".clear").click()
    draw(page, FOUR, size=0.25, corner=(0.6, 0.05))
    small = shown(page)["drawn"]
    assert np.abs(large - small).mean() < 0.02
    assert max(np.ptp(places) for places in np.nonzero(large)) + 1 in (20, 21)
    centre = [(large.sum(axis) * np.arange(28)).sum() / large.sum() for axis in (0, 1)]
    assert centre == pytest.approx([13.5, 13.5], abs=0.51), "it moves by whole pixels"


def test_tap_draws_a_dot_in_the_middle_or_without_scaling_where_it_was(page):
    draw(page, [[(0, 0)]], corner=(0.25, 0.25))
    for middle in (13.5, 6.5):
        dot = shown(page)["drawn"]
        assert 2 < dot.sum() < 8
        assert (np.abs(np.argwhere(dot) - middle) < 3).all()
        find(page, "[type=checkbox]").click()


WATCH_SLOWLY = """
  let clock = 0;
  performance.now = () => { clock += 1000; return clock; }; // a network takes a second
  window.passes = 0;
  const count = (changes) => { window.passes += changes.length; };
  new MutationObserver(count).observe(arguments[1], { childList: true });
  arguments[0].addEventListener("pointerdown", (event) => { window.down = event; });
"""
MOVE_AT_ONCE = """
  const { pointerId, clientX, clientY } = window.down;
  for (let step = 1; step <= 50; step += 1) {
    const place = { clientX: clientX + 2 * step, clientY: clientY + step };
    arguments[0].dispatchEvent(new PointerEvent("pointermove", { pointerId, ...place }));
  }
"""


def test_ink_is_there_at_once_and_networks_read_the_last_state(page):
    """Fifty movements come at once, while a real mouse holds its button."""
    sheet = find(page, ".sheet canvas")
    page.execute_script(WATCH_SLOWLY, sheet, find(page, ".verdict"))
    ActionChains(page).move_to_element(sheet).click_and_hold().perform()
    ink = read_canvas(page, sheet, before=MOVE_AT_ONCE)
    right = 100 / sheet.rect["width"]
    assert np.ptp(np.nonzero(ink)[1]) / ink.shape[1] == pytest.approx(right, abs=0.1)
    hurried = shown(page)["drawn"]
    ActionChains(page).release().perform()
    assert 1 <= page.execute_script("return passes") <= 3
    find(page, "[type=checkbox]").click()
    find(page, "[type=checkbox]").click()
    np.testing.assert_array_equal(hurried, shown(page)["drawn"])


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


def test_inside_shows_the_first_convolution_and_the_code(page, example):
    _, networks = example
    draw(page, FOUR)
    find(page, "summary").click()
    noisy = shown(page)["noisy"]
    maps = np.asarray(networks["CNN"].layers[0](noisy.reshape(1, 28, 28, 1)))[0]
    code = np.asarray(networks["denoiser"].layers[1](noisy.reshape(1, 784)))[0]
    figures = find_all(page, ".playground details figure")
    titles = [figure.text.split(", ")[1] for figure in figures]
    assert titles == ["4 of 26 × 26", "16 numbers"]
    canvases = find_all(page, ".playground details canvas")
    shown_maps, shown_code = (read_canvas(page, canvas) for canvas in canvases)
    np.testing.assert_allclose(shown_maps[:26, :26], maps[..., 0] / maps.max(), atol=0.003)
    np.testing.assert_allclose(shown_code.ravel()[:16], code / code.max(), atol=0.003)


def test_answers_stand_right_below_the_sheet_on_a_phone(page):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    sheet, verdict = (find(page, each).rect for each in (".sheet", ".verdict"))
    targets = [button.rect for button in find_all(page, ".playground :is(button, summary, label)")]
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert 0 <= verdict["y"] - sheet["y"] - sheet["height"] < 20
    assert min(min(target["width"], target["height"]) for target in targets) >= 24


# ---- The oldest browsers: Chrome and Edge 96, Firefox 94, Safari 15, of the end of 2021 ----


def test_browser_of_2021_loses_nothing(browser, example):
    path, networks = example
    with browsing.without_newer_things(browser):
        visit(browser, path)
        assert browser.execute_script("return typeof Float16Array") == "undefined"
        assert not find_all(browser, ".needs")[0].is_displayed()
        assert sentences(browser) == []
        draw(browser, FOUR)
        images = shown(browser)
        denoised = compute(networks["denoiser"], images["noisy"])[0]
        np.testing.assert_allclose(images["denoised"].ravel(), denoised, atol=1e-5)
        for selector in (".reading .start", ".reading .pass", ".reading .stop"):
            find_all(browser, selector)[0].click()
        assert "You 0, CNN " in find_all(browser, ".reading .score")[0].text
        assert_quiet(browser)


# What no global stands for, and so cannot be taken away.
NEWER = {
    "CSS nesting": r"^\s*&|\{[^{}@]*;[^{}]*[.#:][\w-]+[^{};:]*\{",
    "CSS functions": r"light-dark\(|color-mix\(|oklch\(|\d[dsl]v[hw]\b",
    "CSS rules": r"@container|@layer|@scope|@starting-style|@media[^{]*[<>]|overflow: clip",
    ":has() in a list, which all of it would be skipped with": r",[^{]*:has\(|:has\([^{]*,",
    "CSS transforms": r"[;{]\s*(translate|scale|rotate):",
    "JavaScript and HTML": r"hasOwn|\(\?<[=!]|static \{|import [^;]* with \{|popover|inert",
}


def test_page_is_written_for_browsers_of_2021():
    folder = ROOT / "stages/reporting"
    for path in [*folder.rglob("*.html.j2"), *folder.rglob("*.css"), *folder.rglob("*.js")]:
        for line in path.read_text(encoding="utf-8").splitlines():
            code = line.split("// ")[0]
            found = [name for name, pattern in NEWER.items() if re.search(pattern, code)]
            assert found == [], f"{path.name}: {line}"


def test_page_without_javascript_says_what_it_needs(browser, example):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    visit(browser, example[0])
    [needs] = find_all(browser, ".needs")
    text = needs.text  # empty where it is hidden
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    for oldest in ("Chrome or Edge 96", "Firefox 94", "Safari 15"):
        assert oldest in text
