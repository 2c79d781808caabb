"""The reading test: played through by keys and by pointer, the same for everybody."""

import collections

import numpy as np
import pandas as pd
import pytest
from browsing import assert_quiet, find_all, visit, without_newer_things, write_page
from conftest import ROOT
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from common.runtime import keras
from reporting.playground.pack import pack_playground, pack_reading

AXE = ROOT / "node_modules/axe-core/axe.min.js"
LEVELS = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
CURVES = {
    "CNN": pd.Series([1, 0.9, 0.6, 0.3, 0.1, 0.1], LEVELS),
    "CNN after denoising": pd.Series([1, 1, 0.9, 0.8, 0.6, 0.1], LEVELS),
}
DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def data() -> tuple:
    """Eighty images (80, 28, 28, 1), whose rows are white down to their digit's."""
    digits = np.arange(80) % 10
    images = np.zeros((80, 28, 28, 1), np.float32)
    for image, digit in zip(images, digits, strict=True):
        image[: digit + 1] = 1
    return images, np.eye(10)[digits]


@pytest.fixture(scope="module")
def path(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("reading") / "page.html"
    write_page(path, reading=pack_reading(*data, DIGITS, CURVES))
    return path


@pytest.fixture
def page(browser, path):
    visit(browser, path)
    yield browser
    assert_quiet(browser)


def find(page, selector: str):
    return page.find_element(By.CSS_SELECTOR, f".reading {selector}")


def trials(page) -> list[dict]:
    return page.execute_script("return reading.trials()")


def answer(page, is_read) -> list[dict]:
    """Play the series through by keys: right where `is_read` says so of a trial, else "x"."""
    series = trials(page)
    keys = [str(trial["label"]) if is_read(trial) else "x" for trial in series]
    ActionChains(page).send_keys(*keys).perform()
    return series


def start(page) -> None:
    find(page, ".start").click()


def table(page) -> pd.DataFrame:
    page.execute_script("document.querySelector('.reading details').open = true")
    rows = [
        [cell.text.replace("\u00a0", " ") for cell in find_all(row, "th, td")]
        for row in find_all(page, ".reading tr")
    ]
    return pd.DataFrame(rows[1:], columns=rows[0])


def test_series_is_played_through_by_keys(page):
    assert not find(page, ".test").is_displayed()
    assert not find(page, ".result").is_displayed()
    ActionChains(page).send_keys(Keys.TAB, Keys.ENTER).perform()
    assert find(page, ".test").is_displayed()
    assert find(page, ".count").text == "Image 1 of 30"
    series = answer(page, lambda trial: trial["level"] < 0.5)
    read = sum(trial["level"] < 0.5 for trial in series)
    assert not find(page, ".test").is_displayed()
    assert find(page, ".score").text == f"Of the same 30 images: You {read}."
    assert find(page, ".half").text == "You read at least half of them up to level 0.50."
    legend = [entry.text for entry in find_all(page, ".legend li")]
    assert legend == [
        "You: at least half up to level 0.50",
        "CNN, all test images: at least half up to level 0.47",
        "CNN after denoising, all test images: at least half up to level 0.84",
        "Chance",
    ]
    numbers = table(page)
    assert list(numbers) == ["Noise level", "Images", "You", *CURVES]
    assert list(numbers["Noise level"].astype(float)) == LEVELS
    counts = collections.Counter(trial["level"] for trial in series)
    assert list(numbers.Images.astype(int)) == [counts[level] for level in LEVELS]
    assert list(numbers.You.astype(int)) == [counts[level] * (level < 0.5) for level in LEVELS]
    shares = ["100", "90", "60", "30", "10", "10"]
    assert list(numbers["CNN"]) == [f"0 ({share} %)" for share in shares]
    assert len(find_all(page, ".chart circle")) == len(LEVELS)
    assert len(find_all(page, ".chart path:not(.grid)")) == 2 + len(CURVES)


def test_series_is_played_through_by_pointer(page):
    """Every third answer is wrong, or "can't tell"; the second series adds to the first."""
    start(page)
    page.execute_script("document.activeElement.blur()")
    ActionChains(page).send_keys("1", "x").perform()
    assert find(page, ".count").text == "Image 1 of 30", "keys act only inside"
    buttons = find_all(find(page, ".answers"), "button")
    assert len(buttons) == 10
    missed = []
    for index, trial in enumerate(trials(page)):
        if index % 3:
            buttons[trial["label"]].click()
        elif index % 2:
            buttons[(trial["label"] + 1) % 10].click()
            missed.append((trial, str((trial["label"] + 1) % 10)))
        else:
            find(page, ".pass").click()
            missed.append((trial, "–"))
    assert find(page, ".score").text == "Of the same 30 images: You 20."
    texts = [figure.text.splitlines() for figure in find_all(page, ".missed figure")]
    assert texts == [
        [f"{trial['label']} at level {trial['level']:g}", f"You: {taken}"]
        for trial, taken in missed
    ]
    find(page, ".again").click()
    assert find(page, ".count").text == "Image 1 of 30"
    answer(page, lambda trial: True)
    assert find(page, ".score").text == "Of the same 60 images: You 50."
    assert find(page, ".half").text == "You read at least half of them at every level."
    assert find(page, ".missed").text == "Nothing."


def test_test_can_be_stopped_after_any_answer_and_caps_lock_does_not_matter(page):
    start(page)
    assert not find(page, ".stop").is_enabled(), "there is nothing to show yet"
    series = trials(page)
    ActionChains(page).send_keys(str(series[0]["label"]), "X").perform()
    find(page, ".stop").click()
    assert find(page, ".score").text == "Of the same 2 images: You 1."
    assert len(find_all(page, ".chart circle")) == len({t["level"] for t in series[:2]})
    find(page, ".again").click()
    find(page, ".stop").click()
    assert find(page, ".score").text == "Of the same 2 images: You 1."
    assert find(page, ".missed").text == "Nothing."


def test_curve_never_rises(page):
    start(page)
    # Rates 1, 1, 0, 1, 0, 0: the third and the fourth level share their mean.
    answer(page, lambda trial: trial["level"] in (0, 0.2, 0.6))
    line = find(page, ".chart .you").get_dom_attribute("d")
    heights = [float(point.split(" ")[1]) for point in line[1:].split("L")]
    assert heights == sorted(heights)
    assert heights[2] == heights[3]
    points = [float(each.get_dom_attribute("cy")) for each in find_all(page, ".chart circle")]
    assert points != sorted(points)


def test_everybody_gets_the_same_series_with_the_noise_of_its_levels(page, path, data):
    images, labels = data
    start(page)
    first = trials(page)
    visit(page, path)
    start(page)
    assert trials(page) == first
    changed = {level: [] for level in LEVELS}
    for trial in first:
        clean = images[labels.argmax(axis=1) == trial["label"]][0].ravel()
        assert set(trial["values"]) <= {0, 1}
        changed[trial["level"]].append((np.array(trial["values"]) != clean).mean())
    # Half of the pixels that noise hits keep their value.
    shares = [np.mean(changed[level]) for level in LEVELS]
    assert shares == pytest.approx(np.array(LEVELS) / 2, abs=0.05)


def test_classes_and_levels_are_balanced_in_every_series(page):
    """Each class comes two to four times, and levels at which the curves fall more often."""
    start(page)
    for _ in range(3):
        series = trials(page)
        assert len(series) == 30
        labels = collections.Counter(trial["label"] for trial in series)
        assert set(labels) == set(range(10))
        assert all(2 <= count <= 4 for count in labels.values())
        levels = collections.Counter(trial["level"] for trial in series)
        assert set(levels) == set(LEVELS)
        assert max(levels[0], levels[1]) < min(levels[0.4], levels[0.6])
        for kind in ("label", "level"):
            order = [trial[kind] for trial in series]
            assert order != sorted(order)
        answer(page, lambda trial: True)
        find(page, ".again").click()


def test_networks_read_the_images_that_the_visitor_reads(tensorflow, browser, data, tmp_path):
    shape = keras.Input((28, 28, 1))
    keras.utils.set_random_seed(0)
    cnn = keras.Sequential([shape, keras.layers.Flatten(), keras.layers.Dense(10, "softmax")])
    code = [keras.layers.Flatten(), keras.layers.Dense(784, "sigmoid")]
    denoiser = keras.Sequential([shape, *code])
    playground = pack_playground({"CNN": cnn}, denoiser, *data, DIGITS)
    reading = pack_reading(*data, DIGITS, CURVES)
    write_page(tmp_path / "page.html", playground=playground, reading=reading)
    with without_newer_things(browser):
        visit(browser, tmp_path / "page.html")
        start(browser)
        series = answer(browser, lambda trial: False)
    images = np.float32([trial["values"] for trial in series]).reshape(-1, 28, 28, 1)
    labels = np.array([trial["label"] for trial in series])
    denoised = np.asarray(denoiser(images)).reshape(images.shape)
    read = {
        "CNN": np.asarray(cnn(images)).argmax(axis=1),
        "CNN after denoising": np.asarray(cnn(denoised)).argmax(axis=1),
    }
    scores = [f"{name} {(numbers == labels).sum()}" for name, numbers in read.items()]
    score = f"Of the same 30 images: You 0, {', '.join(scores)}."
    assert find(browser, ".score").text == score
    for index, figure in enumerate(find_all(browser, ".missed figure")):
        lines = [f"{name}: {numbers[index]}" for name, numbers in read.items()]
        assert figure.text.splitlines()[1:] == ["You: –", *lines]
    own = table(browser)["CNN"].str.split(" ").str[0].astype(int)
    assert own.sum() == (read["CNN"] == labels).sum()
    assert_quiet(browser)


def test_named_classes_without_images_and_other_sides(browser, tmp_path):
    images = np.zeros((7, 14, 14, 1), np.float32)
    names = ["shirt", "<coat>", "never seen", "bag"]
    labels = np.eye(4)[[0, 1, 3, 0, 1, 3, 0]]
    reading = pack_reading(images, labels, names, {"CNN": pd.Series([1.0], [0.3])}, "garment")
    write_page(tmp_path / "page.html", reading=reading)
    visit(browser, tmp_path / "page.html")
    assert "which garment is it?" in find(browser, "p").text
    start(browser)
    buttons = [button.text for button in find_all(find(browser, ".answers"), "button")]
    assert buttons == ["0 shirt", "1 <coat>", "2 never seen", "3 bag"]
    ActionChains(browser).send_keys("7", "4").perform()  # no classes
    assert find(browser, ".count").text == "Image 1 of 30"
    series = answer(browser, lambda trial: True)
    assert collections.Counter(trial["label"] for trial in series) == {0: 10, 1: 10, 3: 10}
    assert find(browser, ".score").text == "Of the same 30 images: You 30."
    assert_quiet(browser)


@pytest.mark.parametrize("classes", [10, 26])
def test_images_are_spread_over_the_classes_and_take_at_most_60_kb(classes):
    labels = np.eye(classes)[np.random.default_rng(0).integers(0, classes - 1, 800)]
    names = [str(number) for number in range(classes)]
    reading = pack_reading(np.zeros((800, 28, 28, 1)), labels, names, CURVES)
    assert 50_000 < len(reading["images"]) <= 60_000
    counts = np.bincount(reading["labels"], minlength=classes)
    assert counts[-1] == 0, "it has no images"
    assert np.ptp(counts[:-1]) <= 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page, scheme):
    if not AXE.exists():
        pytest.skip("axe-core is not installed here (.ci/run installs it with npm)")
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    page.execute_script(AXE.read_text(encoding="utf-8"))
    start(page)
    during = page.execute_async_script("axe.run('.reading').then(arguments[0])")
    answer(page, lambda trial: trial["level"] < 0.5)
    after = page.execute_async_script("axe.run('.reading').then(arguments[0])")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert during["passes"] and after["passes"]
    assert during["violations"] == after["violations"] == []
