"""The playground: it computes as Keras does, reads drawings, and needs no mouse and no network."""

import json
import zipfile

import numpy as np
import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from common.noise import salt_and_pepper
from common.runtime import keras
from page.networks import read_network

NETWORKS = {"Perceptron": "mlp", "CNN": "cnn", "denoiser": "autoencoder"}
CORNER = [(-0.4, -0.42), (-0.25, -0.45), (-0.3, -0.2)]  # a small 7, from the middle, as shares


@pytest.fixture(scope="module")
def models(tensorflow, finished_study):
    """The networks in Keras by their name in the browser, with weights rounded to float16."""
    loaded = {}
    for name, file in NETWORKS.items():
        loaded[name] = keras.models.load_model(finished_study.folder / f"models/{file}.keras")
        rounded = [np.float32(np.float16(array)) for array in loaded[name].get_weights()]
        loaded[name].set_weights(rounded)
    return loaded


@pytest.fixture(scope="module")
def images(finished_study):
    return np.load(finished_study.folder / "data/processed/test/images.npy")


@pytest.fixture
def page(browser, finished_study):
    browser.set_window_size(1280, 1200)
    browser.get((finished_study.folder / "report.html").as_uri())
    browser.find_element(By.CSS_SELECTOR, ".playground").location_once_scrolled_into_view  # noqa: B018
    return browser


def find(page, selector):
    return page.find_element(By.CSS_SELECTOR, f".playground {selector}")


def shown(page) -> dict:
    """Return the images shown, as arrays (28, 28) in [0, 1], after the next update."""
    page.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0]))")
    values = page.execute_script(
        "return Object.entries(playground.images()).map(([name, image]) => [name, [...image]])"
    )
    return {name: np.float32(image).reshape(28, 28) for name, image in values}


def draw(page, places):
    sheet = find(page, ".sheet canvas")
    width = sheet.rect["width"]
    pen = ActionChains(page, duration=20)
    for index, place in enumerate(places):
        pen.move_to_element_with_offset(sheet, *(int(share * width) for share in place))
        if index == 0:
            pen.click_and_hold()
    pen.release().perform()


def set_noise(page, level):
    slider = find(page, "[type=range]")
    page.execute_script("arguments[0].value = arguments[1]", slider, level)
    page.execute_script("arguments[0].dispatchEvent(new Event('input'))", slider)


def wait_for_status(page, start: str) -> None:
    WebDriverWait(page, 10).until(lambda _: find(page, "[role=status]").text.startswith(start))


def compute(model, images):
    return model.predict(images.reshape(-1, *model.input_shape[1:]), verbose=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_read_as_keras_reads_them(tensorflow, finished_study, name):
    path = finished_study.folder / f"models/{NETWORKS[name]}.keras"
    model, network = keras.models.load_model(path), read_network(path)
    assert (network.name, network.parameters) == (model.name, model.count_params())
    arrays = [array for layer in network.layers for array in layer.weights]
    for array, expected in zip(arrays, model.get_weights(), strict=True):
        np.testing.assert_array_equal(array, expected)
    parts = model.layers if name == "denoiser" else [model]
    layers = [layer for part in parts for layer in part.layers]
    assert [layer.name for layer in network.layers] == [layer.name for layer in layers]
    assert [layer.shape for layer in network.layers] == [layer.output.shape[1:] for layer in layers]


def test_file_without_a_network_is_reported_in_one_line(tmp_path):
    path = tmp_path / "cnn.keras"
    for damage in (lambda: None, lambda: path.write_bytes(b"x"), zipfile.ZipFile(path, "w").close):
        damage()
        with pytest.raises(SystemExit, match=r"^error: .*cnn\.keras: cannot be read as a network"):
            read_network(path)


@pytest.mark.parametrize("name", NETWORKS)
def test_browser_computes_what_keras_computes(page, models, images, name):
    some = salt_and_pepper(images[:100], np.linspace(0, 1, 100).reshape(-1, 1, 1, 1), seed=0)
    script = "return arguments[1].map((image) => [...playground.run(arguments[0], image)])"
    results = np.array(page.execute_script(script, name, some.reshape(100, 784).tolist()))
    expected = compute(models[name], some)
    np.testing.assert_allclose(results, expected, rtol=0, atol=1e-5)
    assert (results.argmax(1) == expected.argmax(1)).all()


@pytest.mark.parametrize("name", ["Perceptron", "CNN"])
def test_rounded_weights_change_at_most_one_reading(models, finished_study, images, name):
    exact = keras.models.load_model(finished_study.folder / f"models/{NETWORKS[name]}.keras")
    rounded = compute(models[name], images).argmax(1)
    assert (compute(exact, images).argmax(1) != rounded).sum() <= 1


def test_page_shows_the_readings_of_the_images_it_shows(page, models):
    draw(page, CORNER)
    for level in (0, 0.3):
        set_noise(page, level)
        pictures = shown(page)
        noisy, denoised = pictures["noisy"], pictures["denoised"].ravel()
        np.testing.assert_allclose(denoised, compute(models["denoiser"], noisy)[0], atol=1e-5)
        for kind, image in pictures.items():
            for name in ("Perceptron", "CNN"):
                body = find(page, f"[data-image={kind}] [data-name={name}]")
                shares = compute(models[name], image)[0]
                cells = body.find_elements(By.CSS_SELECTOR, "td span")
                words = [cell.get_property("textContent") for cell in cells]
                assert [float(word[:-2]) for word in words] == pytest.approx(100 * shares, abs=0.06)
                assert body.text.splitlines()[1].startswith(str(shares.argmax()))


def test_drawing_is_scaled_and_centred_unless_switched_off(page):
    draw(page, CORNER)
    image = shown(page)["drawn"]
    rows, columns = np.nonzero(image)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    centre = [(image.sum(axis) * np.arange(28)).sum() / image.sum() for axis in (0, 1)]
    assert centre == pytest.approx([14, 14], abs=0.5)  # whole pixels, as in MNIST
    find(page, "[type=checkbox]").click()
    rows, columns = np.nonzero(shown(page)["drawn"])
    assert max(rows.max(), columns.max()) < 14


def test_test_images_stay_as_they_are(page, images, finished_study):
    labels = np.load(finished_study.folder / "data/processed/test/labels.npy").argmax(1)
    for digit, button in enumerate(page.find_elements(By.CSS_SELECTOR, ".samples button")):
        button.click()
        expected = images[labels == digit][0, ..., 0]
        np.testing.assert_allclose(shown(page)["drawn"], expected, atol=1e-6)


def test_noise_of_a_higher_level_adds_to_that_of_a_lower(page):
    find(page, ".samples button").click()
    seen = []
    for level in (0, 0.3, 0.6, 1):
        set_noise(page, level)
        pictures = shown(page)
        seen.append(pictures["noisy"])
        share = (pictures["noisy"] != pictures["drawn"]).mean()
        assert share <= level
    changed = [image != seen[0] for image in seen]
    for low, high, mask in zip(seen[1:], seen[2:], changed[1:], strict=False):
        np.testing.assert_array_equal(low[mask], high[mask])
    assert set(np.unique(seen[-1])) == {0, 1}
    assert 0.4 < seen[-1].mean() < 0.6
    find(page, ".again").click()
    assert (shown(page)["noisy"] != seen[-1]).any()


def test_noise_level_is_shared_with_the_page(page):
    script = "document.addEventListener('noiselevel', ({detail}) => { window.told = detail.level })"
    page.execute_script(script)
    set_noise(page, 0.25)
    assert page.execute_script("return told") == 0.25
    script = "document.dispatchEvent(new CustomEvent('noiselevel', {detail: {level: 0.75}}))"
    page.execute_script(script)
    assert find(page, "output").text == "0.75"
    assert find(page, "[type=range]").get_property("value") == "0.75"


def test_keyboard_alone_draws_erases_and_picks(page):
    find(page, ".clear").click()  # The next element is the drawing area.
    keys = ActionChains(page).send_keys(Keys.TAB, " ", *[Keys.ARROW_DOWN] * 5, " ")
    keys.send_keys(*[Keys.ARROW_RIGHT] * 9).perform()
    wait_for_status(page, "Column 24, row 20, pen up.")
    rows, columns = np.nonzero(shown(page)["drawn"])
    assert np.ptp(rows) + 1 == 20 > np.ptp(columns) + 1
    ActionChains(page).send_keys(Keys.TAB, Keys.ENTER).perform()
    wait_for_status(page, "Drawn: Perceptron")
    find(page, ".eraser").click()
    draw(page, [(-0.4, 0), (0.4, 0), (0.4, 0.1), (-0.4, 0.1)])
    assert shown(page)["drawn"].any()
    find(page, ".clear").click()
    wait_for_status(page, "Nothing is drawn.")


def test_playing_requests_nothing_and_logs_no_error(page):
    draw(page, CORNER)
    find(page, ".again").click()
    shown(page)
    messages = [json.loads(line["message"])["message"] for line in page.get_log("performance")]
    requests = [line for line in messages if line["method"] == "Network.requestWillBeSent"]
    urls = {line["params"]["request"]["url"].split(":")[0] for line in requests}
    assert "file" in urls <= {"file", "data"}
    assert [line for line in page.get_log("browser") if line["level"] == "SEVERE"] == []


def test_playground_is_hidden_without_javascript(browser, finished_study):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get((finished_study.folder / "report.html").as_uri())
    visible = browser.find_element(By.CSS_SELECTOR, ".playground").is_displayed()
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert not visible
