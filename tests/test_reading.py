"""The reading test: played through by keys and by pointer, the same for everybody."""

import numpy as np
import pandas as pd
import pytest
from browsing import CURVES, IMAGES, assert_quiet, compute, find, find_all, visit, write_example
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

LEVELS = list(CURVES["CNN"].index)


@pytest.fixture(scope="module")
def example(tensorflow, tmp_path_factory):
    return write_example(tmp_path_factory.mktemp("reading") / "page.html")


@pytest.fixture
def page(browser, example):
    """The first image in the browser; whatever a test does, nothing is requested or fails."""
    visit(browser, example[0])
    find(browser, ".start").send_keys(Keys.ENTER)
    yield browser
    assert_quiet(browser)


def trials(page) -> list[dict]:
    return page.execute_script("return reading.trials()")


def answer(page, is_read) -> list[dict]:
    """Play the series by keys: right where `is_read` says so, else "X", as with Caps Lock."""
    series = trials(page)
    keys = [str(trial["label"]) if is_read(trial) else "X" for trial in series]
    ActionChains(page).send_keys(*keys).perform()
    return series


def test_visitor_and_networks_read_the_same_images(page, example):
    """The visitor, by keys, reads those at levels below one half."""
    _, networks = example
    series = pd.DataFrame(answer(page, lambda trial: trial["level"] < 0.5))
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
    for column, rights in enumerate(right.values(), 3):
        cells = find_all(page, f".result td:nth-child({column})")
        counts = [int(cell.get_property("textContent").split(" ")[0]) for cell in cells]
        assert counts == list(rights.groupby(series.level).sum())


def test_series_can_be_stopped_after_any_answer_and_later_ones_add(page):
    """The visitor points: at the right answer, at a wrong one, and at "can't tell"."""
    assert not find(page, ".stop").is_enabled(), "there is nothing to show yet"
    series = trials(page)
    right, wrong = series[0]["label"], (series[1]["label"] + 1) % 10
    for index in (right, wrong):
        find_all(page, ".reading .answers button")[index].click()
    find(page, ".pass").click()
    find(page, ".stop").click()
    assert find(page, ".score").text.startswith("Of the same 3 images: You 1, CNN ")
    missed = [figure.text.splitlines()[1] for figure in find_all(page, ".missed figure")]
    assert missed == [f"You: {wrong}", "You: –"]
    assert len(find_all(page, ".chart circle")) == len({trial["level"] for trial in series[:3]})
    find(page, ".result .again").click()
    answer(page, lambda trial: True)
    assert find(page, ".score").text.startswith("Of the same 33 images: You 31, CNN ")
    assert find_all(page, ".missed figure") == []


def test_curve_never_rises_and_falls_below_one_half_where_it_is_said(page):
    """The visitor's rates are 1, 1, 0, 1, 0, 0: the third and the fourth level share their mean."""
    series = pd.DataFrame(answer(page, lambda trial: trial["level"] in (0, 0.2, 0.6)))
    line = find(page, ".chart .you").get_dom_attribute("d")
    heights = np.array([float(point.split(" ")[1]) for point in line[1:].split("L")])
    rates = (heights - heights[-1]) / (heights[0] - heights[-1])
    counts = series.groupby("level").size()
    mean = counts[0.6] / (counts[0.4] + counts[0.6])
    assert rates == pytest.approx([1, 1, mean, mean, 0, 0])
    halves = [entry.text.split(" up to level ")[-1] for entry in find_all(page, ".legend li")]
    half = np.interp(-0.5, -rates, LEVELS)
    assert halves == [f"{half:.2f}", "0.53", "0.84", "Chance"]
    assert find(page, ".half").text.endswith(f" up to level {half:.2f}.")
    assert len(find_all(page, ".chart path:not(.grid)")) == len(halves)


def test_everybody_gets_the_same_series_of_all_classes_and_levels(page, example):
    """Levels at which the curves fall come more often; half of the noise changes a pixel."""
    first = trials(page)
    visit(page, example[0])
    find(page, ".start").click()
    assert trials(page) == first
    series = pd.DataFrame(first)
    assert series.label.value_counts().to_dict() == dict.fromkeys(range(10), 3)
    assert not series.label.is_monotonic_increasing
    assert not series.level.is_monotonic_increasing
    clean = IMAGES[series.label].reshape(len(series), -1)
    series["changed"] = (np.array(list(series["values"])) != clean).mean(axis=1)
    levels = series.groupby("level")
    counts = levels.size()
    assert list(counts.index) == LEVELS
    assert max(counts[0], counts[1]) < min(counts[0.4], counts[0.6])
    assert list(levels.changed.mean()) == pytest.approx(np.array(LEVELS) / 2, abs=0.05)
