"""The reading test: played through by keys and by pointer, the same for everybody."""

import collections

import browsing
import numpy as np
import pandas as pd
import pytest
from browsing import CURVES, IMAGES, assert_quiet, compute, find_all, visit
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from reporting.playground.pack import pack_reading

LEVELS = list(CURVES["CNN"].index)


@pytest.fixture(scope="module")
def example(tensorflow, tmp_path_factory):
    return browsing.write_example(tmp_path_factory.mktemp("reading") / "page.html")


@pytest.fixture
def page(browser, example):
    """The first image in the browser; whatever a test does, nothing is requested or fails."""
    visit(browser, example[0])
    find(browser, ".start").send_keys(Keys.ENTER)
    yield browser
    assert_quiet(browser)


def find(page, selector: str):
    return page.find_element(By.CSS_SELECTOR, f".reading {selector}")


def trials(page) -> list[dict]:
    return page.execute_script("return reading.trials()")


def press(page, *keys: str) -> None:
    ActionChains(page).send_keys(*keys).perform()


def answer(page, is_read) -> list[dict]:
    """Play the series through by keys: right where `is_read` says so of a trial, else "x"."""
    series = trials(page)
    press(page, *[str(trial["label"]) if is_read(trial) else "x" for trial in series])
    return series


def score(page) -> str:
    """Return how many images the visitor has read, without what the networks have."""
    return find(page, ".score").text.split(",")[0]


def table(page) -> pd.DataFrame:
    page.execute_script("document.querySelector('.reading details').open = true")
    rows = [
        [cell.text.replace("\u00a0", " ") for cell in find_all(row, "th, td")]
        for row in find_all(page, ".reading tr")
    ]
    return pd.DataFrame(rows[1:], columns=rows[0])


def test_visitor_and_networks_read_the_same_images(page, example):
    """The visitor, by keys, reads those at levels below one half."""
    _, networks = example
    assert find(page, ".count").text == "Image 1 of 30"
    assert not find(page, ".result").is_displayed()
    series = pd.DataFrame(answer(page, lambda trial: trial["level"] < 0.5))
    assert not find(page, ".test").is_displayed()
    images = np.float32(list(series["values"]))
    denoised = compute(networks["denoiser"], images)
    read = {
        "You": series.label.where(series.level < 0.5, "–"),
        "CNN": compute(networks["CNN"], images).argmax(axis=1),
        "CNN after denoising": compute(networks["CNN"], denoised).argmax(axis=1),
    }
    right = {name: series.label == answers for name, answers in read.items()}
    scores = ", ".join(f"{name} {rights.sum()}" for name, rights in right.items())
    assert find(page, ".score").text == f"Of the same 30 images: {scores}."
    missed = find_all(page, ".missed figure")
    for index, figure in zip(series.index[series.level > 0.5], missed, strict=True):
        title = f"{series.label[index]} at level {series.level[index]:g}"
        lines = [f"{name}: {answers[index]}" for name, answers in read.items()]
        assert figure.text.splitlines() == [title, *lines]
    numbers = table(page)
    assert list(numbers["Noise level"].astype(float)) == LEVELS
    assert list(numbers["Images"].astype(int)) == list(series.groupby("level").size())
    for name, rights in right.items():
        counts = numbers[name].str.split(" ").str[0].astype(int)
        assert list(counts) == list(rights.groupby(series.level).sum())


def test_result_shows_curves_and_where_they_fall_below_one_half(page):
    answer(page, lambda trial: trial["level"] < 0.5)
    assert find(page, ".half").text == "You read at least half of them up to level 0.50."
    legend = [entry.text.split(" up to level ")[-1] for entry in find_all(page, ".legend li")]
    assert legend == ["0.50", "0.47", "0.84", "Chance"]
    assert list(table(page)["CNN"].str.split("(").str[1])[:3] == ["100 %)", "90 %)", "60 %)"]
    assert len(find_all(page, ".chart circle")) == len(LEVELS)
    assert len(find_all(page, ".chart path:not(.grid)")) == 2 + len(CURVES)


def test_series_is_played_through_by_pointer(page):
    """Every third answer is wrong, or "can't tell"; the second series adds to the first."""
    page.execute_script("document.activeElement.blur()")
    press(page, "1", "x")
    assert find(page, ".count").text == "Image 1 of 30", "keys act only inside"
    buttons = find_all(find(page, ".answers"), "button")
    missed = []
    for index, trial in enumerate(trials(page)):
        wrong = (trial["label"] + 1) % 10
        if index % 3:
            buttons[trial["label"]].click()
        elif index % 2:
            buttons[wrong].click()
            missed.append((trial, str(wrong)))
        else:
            find(page, ".pass").click()
            missed.append((trial, "–"))
    assert score(page) == "Of the same 30 images: You 20"
    texts = [figure.text.splitlines()[:2] for figure in find_all(page, ".missed figure")]
    assert texts == [
        [f"{trial['label']} at level {trial['level']:g}", f"You: {taken}"]
        for trial, taken in missed
    ]
    find(page, ".again").click()
    answer(page, lambda trial: True)
    assert score(page) == "Of the same 60 images: You 50"
    assert find(page, ".half").text == "You read at least half of them at every level."
    assert find(page, ".missed").text == "Nothing."


def test_test_can_be_stopped_after_any_answer_and_caps_lock_does_not_matter(page):
    assert not find(page, ".stop").is_enabled(), "there is nothing to show yet"
    series = trials(page)
    press(page, str(series[0]["label"]), "X")
    find(page, ".stop").click()
    assert score(page) == "Of the same 2 images: You 1"
    assert len(find_all(page, ".chart circle")) == len({t["level"] for t in series[:2]})
    find(page, ".again").click()
    find(page, ".stop").click()
    assert score(page) == "Of the same 2 images: You 1"
    assert find(page, ".missed").text == "Nothing."


def test_curve_never_rises(page):
    # Rates 1, 1, 0, 1, 0, 0: the third and the fourth level share their mean.
    answer(page, lambda trial: trial["level"] in (0, 0.2, 0.6))
    line = find(page, ".chart .you").get_dom_attribute("d")
    heights = [float(point.split(" ")[1]) for point in line[1:].split("L")]
    assert heights == sorted(heights)
    assert heights[2] == heights[3]


def test_everybody_gets_the_same_series_with_the_noise_of_its_levels(page, example):
    first = trials(page)
    visit(page, example[0])
    find(page, ".start").click()
    assert trials(page) == first
    changed = {level: [] for level in LEVELS}
    for trial in first:
        clean = IMAGES[trial["label"]].ravel()
        assert set(trial["values"]) <= {0, 1}
        changed[trial["level"]].append((np.array(trial["values"]) != clean).mean())
    # Half of the pixels that noise hits keep their value.
    shares = [np.mean(changed[level]) for level in LEVELS]
    assert shares == pytest.approx(np.array(LEVELS) / 2, abs=0.05)


def test_classes_and_levels_are_balanced_in_every_series(page):
    """Each class comes two to four times, and levels at which the curves fall more often."""
    for _ in range(2):
        series = trials(page)
        labels = [trial["label"] for trial in series]
        levels = [trial["level"] for trial in series]
        assert set(labels) == set(range(10))
        assert set(collections.Counter(labels).values()) <= {2, 3, 4}
        counts = collections.Counter(levels)
        assert set(counts) == set(LEVELS)
        assert max(counts[0], counts[1]) < min(counts[0.4], counts[0.6])
        assert labels != sorted(labels)
        assert levels != sorted(levels)
        answer(page, lambda trial: True)
        find(page, ".again").click()


def test_named_classes_without_images_and_other_sides(browser, tmp_path):
    images = np.zeros((7, 14, 14, 1), np.float32)
    names = ["shirt", "<coat>", "never seen", "bag"]
    labels = np.eye(4)[[0, 1, 3, 0, 1, 3, 0]]
    reading = pack_reading(images, labels, names, {"CNN": pd.Series([1.0], [0.3])}, "garment")
    browsing.write_page(tmp_path / "page.html", reading=reading)
    visit(browser, tmp_path / "page.html")
    assert "which garment is it?" in find(browser, "p").text
    find(browser, ".start").click()
    buttons = [button.text for button in find_all(find(browser, ".answers"), "button")]
    assert buttons == ["0 shirt", "1 <coat>", "2 never seen", "3 bag"]
    press(browser, "7", "4")  # no classes
    assert find(browser, ".count").text == "Image 1 of 30"
    series = answer(browser, lambda trial: True)
    assert collections.Counter(trial["label"] for trial in series) == {0: 10, 1: 10, 3: 10}
    assert find(browser, ".score").text == "Of the same 30 images: You 30."
    assert_quiet(browser)


def test_images_are_spread_over_the_classes_and_take_at_most_60_kb():
    numbers = np.random.default_rng(0).integers(0, 25, 800)
    names = [str(number) for number in range(26)]
    reading = pack_reading(np.zeros((800, 28, 28, 1)), np.eye(26)[numbers], names, CURVES)
    assert 50_000 < len(reading["images"]) <= 60_000
    assert np.ptp(np.bincount(reading["labels"], minlength=25)) <= 1


def test_axe_finds_nothing_here_and_in_the_playground(page):
    page.execute_script("document.querySelector('.playground details').open = true")
    assert browsing.find_barriers(page) == []
    answer(page, lambda trial: trial["level"] < 0.5)
    assert browsing.find_barriers(page) == []
