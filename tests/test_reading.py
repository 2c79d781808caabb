"""The reading test: played through by keys and by pointer, the same for everybody."""

import numpy as np
import pandas as pd
import pytest
from browsing import assert_quiet, find_all, visit, write_page
from conftest import ROOT
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from reporting.playground.pack import pack_reading

AXE = ROOT / "node_modules/axe-core/axe.min.js"
LEVELS = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
CURVES = {
    "CNN": pd.Series([1, 0.9, 0.6, 0.3, 0.1, 0.1], LEVELS),
    "CNN, trained on noise": pd.Series([1, 1, 0.9, 0.8, 0.6, 0.1], LEVELS),
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


def answer(page, is_read) -> None:
    """Play the series through by keys: right where `is_read` says so of a trial, else "x"."""
    series = trials(page)
    keys = [str(trial["label"]) if is_read(trial) else "x" for trial in series]
    ActionChains(page).send_keys(*keys).perform()


def table(page) -> pd.DataFrame:
    page.execute_script("document.querySelector('.reading details').open = true")
    rows = [
        [cell.text.replace("\u00a0", " ") for cell in find_all(row, "th, td")]
        for row in find_all(page, "tr")
    ]
    return pd.DataFrame(rows[1:], columns=rows[0])


def test_series_is_played_through_by_keys(page):
    assert not find(page, ".test").is_displayed()
    assert not find(page, ".result").is_displayed()
    ActionChains(page).send_keys(Keys.TAB, Keys.ENTER).perform()
    assert find(page, ".test").is_displayed()
    assert find(page, ".count").text == "Image 1 of 30"
    answer(page, lambda trial: trial["level"] < 0.5)
    assert not find(page, ".test").is_displayed()
    assert find(page, ".score").text == "Series 1: you read 15 of 30."
    assert find(page, ".half").text == "You read at least half of them up to level 0.50."
    legend = [entry.text for entry in find_all(page, ".legend li")]
    assert legend == [
        "You: at least half up to level 0.50",
        "CNN: at least half up to level 0.47",
        "CNN, trained on noise: at least half up to level 0.84",
        "Chance",
    ]
    numbers = table(page)
    assert list(numbers) == ["Noise level", "You", *CURVES]
    assert list(numbers["Noise level"].astype(float)) == LEVELS
    assert list(numbers["You"]) == ["100 %"] * 3 + ["0 %"] * 3
    assert list(numbers["CNN"]) == ["100 %", "90 %", "60 %", "30 %", "10 %", "10 %"]
    assert len(find_all(page, ".chart circle")) == len(LEVELS)
    assert len(find_all(page, ".chart path:not(.grid)")) == 2 + len(CURVES)


def test_series_is_played_through_by_pointer(page):
    """Every third answer is wrong, or "can't tell"."""
    find(page, ".start").click()
    page.execute_script("document.activeElement.blur()")
    ActionChains(page).send_keys("1", "x").perform()
    assert find(page, ".count").text == "Image 1 of 30", "keys act only inside"
    buttons = find_all(page, ".answers button")
    for index, trial in enumerate(trials(page)):
        wrong = (trial["label"] + 1) % 10 if index % 2 else -1
        buttons[trial["label"] if index % 3 else wrong].click()
    assert find(page, ".score").text == "Series 1: you read 20 of 30."
    find(page, ".again").click()
    assert find(page, ".count").text == "Image 1 of 30"
    answer(page, lambda trial: True)
    assert find(page, ".score").text == "Series 2: you read 30 of 30."
    assert find(page, ".half").text == "You read at least half of them at every level."


def test_curve_never_rises(page):
    find(page, ".start").click()
    # Rates 1, 1, 0, 1, 0, 0: the third and the fourth level share a half.
    answer(page, lambda trial: trial["level"] in (0, 0.2, 0.6))
    assert find(page, ".half").text == "You read at least half of them up to level 0.60."
    line = find(page, ".chart .you").get_dom_attribute("d")
    heights = [float(point.split(" ")[1]) for point in line[1:].split("L")]
    assert heights == sorted(heights)
    points = [float(each.get_dom_attribute("cy")) for each in find_all(page, ".chart circle")]
    assert points != sorted(points)


def test_everybody_gets_the_same_series_with_the_noise_of_its_levels(page, path, data):
    images, labels = data
    find(page, ".start").click()
    first = trials(page)
    visit(page, path)
    find(page, ".start").click()
    assert trials(page) == first
    changed = {level: [] for level in LEVELS}
    for trial in first:
        clean = images[labels.argmax(axis=1) == trial["label"]][0].ravel()
        assert set(trial["values"]) <= {0, 1}
        changed[trial["level"]].append((np.array(trial["values"]) != clean).mean())
    # Half of the pixels that noise hits keep their value.
    shares = [np.mean(changed[level]) for level in LEVELS]
    assert shares == pytest.approx(np.array(LEVELS) / 2, abs=0.03)
    answer(page, lambda trial: True)
    find(page, ".again").click()
    first, other = ([trial["level"] for trial in series] for series in (first, trials(page)))
    assert first != other
    assert sorted(first) == sorted(other) == sorted(LEVELS * 5)


def test_named_classes_and_other_sides(browser, tmp_path):
    images = np.zeros((7, 14, 14, 1), np.float32)
    names = ["shirt", "<coat>", "bag"]
    labels = np.eye(3)[[0, 1, 2, 0, 1, 2, 0]]
    reading = pack_reading(images, labels, names, {"CNN": pd.Series([1.0], [0.3])}, "garment")
    write_page(tmp_path / "page.html", reading=reading)
    visit(browser, tmp_path / "page.html")
    assert "which garment is it?" in find(browser, "p").text
    find(browser, ".start").click()
    buttons = [button.text for button in find_all(browser, ".answers button")]
    assert buttons == ["0 shirt", "1 <coat>", "2 bag", "Can't tell x"]
    ActionChains(browser).send_keys("7", "3").perform()  # no classes
    assert find(browser, ".count").text == "Image 1 of 30"
    answer(browser, lambda trial: True)
    assert find(browser, ".score").text == "Series 1: you read 30 of 30."
    assert_quiet(browser)


def test_images_take_at_most_60_kb(data):
    images, labels = (np.concatenate([array] * 10) for array in data)
    reading = pack_reading(images, labels, DIGITS, CURVES)
    assert 50_000 < len(reading["images"]) <= 60_000
    assert len(set(reading["labels"])) == 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page, scheme):
    if not AXE.exists():
        pytest.skip("axe-core is not installed here (.ci/run installs it with npm)")
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    page.execute_script(AXE.read_text(encoding="utf-8"))
    find(page, ".start").click()
    during = page.execute_async_script("axe.run('.reading').then(arguments[0])")
    answer(page, lambda trial: trial["level"] < 0.5)
    after = page.execute_async_script("axe.run('.reading').then(arguments[0])")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert during["passes"] and after["passes"]
    assert during["violations"] == after["violations"] == []
