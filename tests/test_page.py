"""The page in a real browser: complete, accessible, on every screen, on paper, offline."""

import base64
import json

import pandas as pd
import pytest
import vl_convert
from conftest import ROOT
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

AXE = ROOT / "node_modules/axe-core/axe.min.js"
LEVELS = ["0.0", "0.5", "1.0"]  # of the small study
CHARTS = 10
PICTURES = CHARTS + 1 + len(LEVELS)  # the mistakes, the noise levels
MOST_BYTES = 3_200_000  # the full study adds eight noise levels


def visit(browser, path) -> None:
    """Open the file `path`; what earlier pages logged is forgotten."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.set_window_size(1280, 1200)
    browser.get(path.as_uri())


def assert_quiet(browser) -> None:
    """Since the visit, nothing has failed and nothing has been requested from a network."""
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
    messages = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    sent = [line["params"] for line in messages if line["method"] == "Network.requestWillBeSent"]
    kinds = {line["request"]["url"].split(":")[0] for line in sent}
    assert "file" in kinds <= {"file", "data"}


@pytest.fixture
def page(browser, finished_study):
    visit(browser, finished_study.folder / "report.html")
    yield browser
    assert_quiet(browser)


def find_all(place, selector: str) -> list:
    return place.find_elements(By.CSS_SELECTOR, selector)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page, scheme):
    if not AXE.exists():
        pytest.skip("axe-core is not installed here (.ci/run installs it with npm)")
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    page.execute_script(AXE.read_text(encoding="utf-8"))
    page.set_script_timeout(120)
    found = page.execute_async_script("axe.run().then(arguments[0])")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert found["passes"]
    serious = [
        (rule["id"], node["html"])
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
    assert serious == []


def test_charts_state_their_finding_and_have_a_table(page):
    charts = find_all(page, "div.picture")
    assert len(charts) == CHARTS
    for chart in charts:
        figure = chart.find_element(By.XPATH, "..")
        finding = figure.find_element(By.TAG_NAME, "figcaption").text.removesuffix(".")
        assert chart.get_attribute("role") == "img"
        assert chart.get_attribute("aria-label").replace("\u00a0", " ") == finding
        table = figure.find_element(By.XPATH, "following-sibling::*")
        assert len(find_all(table, "tbody tr")) >= 2
    assert len(find_all(page, "#figure_15_rates path title")) == 4 * len(LEVELS) + 16


def test_page_of_modest_size_has_words_for_images_and_headers_for_tables(page):
    assert len(page.page_source.encode()) < MOST_BYTES
    images = find_all(page, "img")
    assert len(images) == PICTURES - CHARTS
    assert all(len(image.get_attribute("alt")) > 5 for image in images)
    assert all(image.get_property("naturalWidth") > 0 for image in images)
    assert all(find_all(table, "th") for table in find_all(page, "table"))


def test_slider_drives_pictures_numbers_and_the_chart(page, finished_study):
    slider = page.find_element(By.ID, "level")
    rates = pd.read_csv(finished_study.folder / "plots/report/noise.csv").set_index("noise_level")
    slider.send_keys(Keys.HOME)
    for level in LEVELS:
        [shown] = [each for each in find_all(page, ".levels figure") if each.is_displayed()]
        assert find_all(page, ".explorer output")[0].text == level
        rate = f"reads {100 * rates.noisy[float(level)]:.1f} % noisy"
        assert rate in shown.text.replace("\u00a0", " ")
        [line] = find_all(page, ".levels_marks .shown")
        assert float(line.get_attribute("aria-label").split(": ")[1]) == float(level)
        assert find_all(page, ".playground .level")[0].text == f"{float(level):.2f}"
        slider.send_keys(Keys.ARROW_RIGHT)


def test_pictures_follow_the_level_of_the_playground(page):
    find_all(page, "#playground-noise")[0].send_keys(Keys.HOME, Keys.PAGE_UP)
    assert find_all(page, ".explorer output")[0].text == "0.0"
    find_all(page, "#playground-noise")[0].send_keys(Keys.END, Keys.ARROW_LEFT)
    assert find_all(page, ".playground .level")[0].text == "0.99"
    assert find_all(page, ".explorer output")[0].text == "1.0"
    assert page.find_element(By.ID, "level").get_attribute("aria-valuetext") == "noise level 1.0"


def test_no_horizontal_scroll_on_a_phone(page):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.refresh()
    widths = page.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert widths == [390, 390]


def test_page_without_javascript_shows_everything_but_what_moves(page):
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    page.refresh()
    pictures = [picture.is_displayed() for picture in find_all(page, ".picture")]
    moving = [each.is_displayed() for each in find_all(page, "#level, .playground")]
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert pictures == [True] * PICTURES
    assert moving == [False, False]


def test_printed_page_shows_every_level_on_at_most_eight_sheets(page):
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    levels = [figure.is_displayed() for figure in find_all(page, ".levels figure")]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert levels == [True] * len(LEVELS)
    printed = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert 3 <= printed.count(b"/Type /Page\n") <= 8


def test_dvc_plots_opens_offline_and_says_what_its_curves_are(browser, study):
    (study.folder / ".venv").mkdir()
    (study.folder / ".venv" / "vega.js").write_text(vl_convert.javascript_bundle())
    study.run("dvc", "plots", "show")
    shown = json.loads(study.run("dvc", "plots", "show", "--json").stdout)["data"]
    charts = [
        plot["content"] for plots in shown.values() for plot in plots if plot["type"] == "vega"
    ]
    assert len(charts) >= 12
    visit(browser, study.folder / "dvc_plots" / "index.html")
    svg = ".vega-embed svg.marks"
    WebDriverWait(browser, 60).until(lambda _: len(find_all(browser, svg)) == len(charts))
    assert_quiet(browser)
    texts = [drawing.get_attribute("textContent") for drawing in find_all(browser, svg)]
    for chart in charts:
        title = chart["title"]
        title = title["text"] if isinstance(title, dict) else title
        [drawing] = [text for text in texts if title in text]
        assert any(axis in drawing for axis in ("epoch", "L2 factor", "noise level", "read as"))
    [accuracy] = [text for text in texts if "Perceptron 64-64 (figure 1)" in text]
    assert "validation accuracy" in accuracy and "workspace" not in accuracy
