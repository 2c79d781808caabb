"""The playground: it computes as Keras does and can be used without a mouse or a network."""

import numpy as np
import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait
from test_page import assert_quiet, visit

from common.noise import salt_and_pepper
from common.runtime import keras
from page.networks import read_network

NETWORKS = {"Perceptron": "mlp", "CNN": "cnn", "denoiser": "autoencoder"}
SEVEN = [(-0.4, -0.42), (-0.25, -0.45), (-0.3, -0.2)]  # small, in a corner; shares, from the middle


def load(study, name: str):
    return keras.models.load_model(study.folder / f"models/{NETWORKS[name]}.keras")


@pytest.fixture(scope="module")
def rounded(tensorflow, finished_study) -> dict:
    """The networks in Keras, their weights rounded to float16."""
    models = {name: load(finished_study, name) for name in NETWORKS}
    for model in models.values():
        model.set_weights([np.float32(np.float16(array)) for array in model.get_weights()])
    return models


def compute(model, images):
    return model.predict(images.reshape(-1, *model.input_shape[1:]), verbose=0)


@pytest.fixture(scope="module")
def data(finished_study) -> list:
    """The test images (N, 28, 28, 1) and their digits (N,)."""
    folder = finished_study.folder / "data/processed/test"
    return [np.load(folder / "images.npy"), np.load(folder / "labels.npy").argmax(axis=1)]


@pytest.fixture
def page(browser, finished_study):
    """The report in the browser; whatever a test does there, nothing is requested or fails."""
    visit(browser, finished_study.folder / "report.html")
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


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_read_as_keras_reads_them(tensorflow, finished_study, name):
    model = load(finished_study, name)
    network = read_network(finished_study.folder / f"models/{NETWORKS[name]}.keras")
    arrays = [array for layer in network for array in layer.weights]
    for array, expected in zip(arrays, model.get_weights(), strict=True):
        np.testing.assert_array_equal(array, expected)
    parts = model.layers if name == "denoiser" else [model]
    layers = [layer for part in parts for layer in part.layers]
    expected = [(layer.name, layer.output.shape[1:]) for layer in layers]
    assert [(layer.name, layer.shape) for layer in network] == expected


@pytest.mark.parametrize("content", [None, b"", b"no zip"])
def test_file_without_a_network_is_reported_in_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "cnn.keras").write_bytes(content)
    with pytest.raises(SystemExit, match=r"^error: .*cnn\.keras: cannot be read .*checkout$"):
        read_network(tmp_path / "cnn.keras")


@pytest.mark.parametrize("name", NETWORKS)
def test_browser_computes_what_keras_computes(page, rounded, data, name):
    images = salt_and_pepper(data[0][:100], np.linspace(0, 1, 100).reshape(-1, 1, 1, 1), seed=0)
    script = "return arguments[1].map((image) => [...playground.run(arguments[0], image)])"
    results = np.array(page.execute_script(script, name, images.reshape(100, 784).tolist()))
    expected = compute(rounded[name], images)
    np.testing.assert_allclose(results, expected, rtol=0, atol=1e-5)
    assert (results.argmax(axis=1) == expected.argmax(axis=1)).all()


@pytest.mark.parametrize("name", ["Perceptron", "CNN"])
def test_rounded_weights_change_at_most_one_reading(rounded, finished_study, data, name):
    readings = [
        compute(model, data[0]).argmax(axis=1)
        for model in (load(finished_study, name), rounded[name])
    ]
    assert (readings[0] != readings[1]).sum() <= 1


def test_page_shows_the_readings_of_its_images(page, rounded):
    draw(page, SEVEN)
    set_noise(page, 0.3)
    images = shown(page)
    denoised = compute(rounded["denoiser"], images["noisy"])[0]
    np.testing.assert_allclose(images["denoised"].ravel(), denoised, atol=1e-5)
    for kind, image in images.items():
        for name in ("Perceptron", "CNN"):
            body = find(page, f"[data-image={kind}] [data-name={name}]")
            cells = body.find_elements(By.CSS_SELECTOR, "td span")
            percents = [float(cell.get_property("textContent")[:-2]) for cell in cells]
            expected = compute(rounded[name], image)[0]
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


def test_test_images_stay_as_they_are(page, data):
    images, digits = data
    for button in page.find_elements(By.CSS_SELECTOR, ".samples button"):
        button.click()
        digit = int(button.accessible_name[-1])
        expected = images[digits == digit][0, ..., 0]
        np.testing.assert_allclose(shown(page)["drawn"], expected, atol=1e-6)


def test_higher_noise_level_adds_to_a_lower_one(page):
    find(page, ".samples button").click()
    seen = []
    for level in (0, 0.5, 0.8, 1):
        set_noise(page, level)
        seen.append(shown(page)["noisy"])
    changed = seen[1] != seen[0]
    assert 0.15 < changed.mean() < 0.35  # of the changed half, half stays black
    assert all((image[changed] == seen[1][changed]).all() for image in seen[2:])
    assert set(np.unique(seen[3])) == {0, 1}
    assert seen[3].mean() == pytest.approx(0.5, abs=0.1)
    find(page, ".again").click()
    assert (shown(page)["noisy"] != seen[3]).any()


def test_keyboard_alone_draws_and_picks(page):
    find(page, ".clear").click()
    wait_for_status(page, "Nothing is drawn.")
    keys = ActionChains(page).send_keys(Keys.TAB, " ", *[Keys.ARROW_DOWN] * 5, " ")
    keys.send_keys(*[Keys.ARROW_RIGHT] * 9).perform()
    wait_for_status(page, "Column 24, row 20, pen up. Drawn: Perceptron ")
    rows, columns = np.nonzero(shown(page)["drawn"])
    assert np.ptp(rows) + 1 == 20 > np.ptp(columns) + 1
    ActionChains(page).send_keys(Keys.TAB, Keys.ENTER).perform()
    wait_for_status(page, "Drawn: Perceptron ")
    assert np.ptp(np.nonzero(shown(page)["drawn"])[1]) > 10  # a 0
