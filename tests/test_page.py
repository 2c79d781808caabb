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
CHARTS = 8
MOST_BYTES = 3_500_000


def visit(browser, path, charts, count):
    """Open the file `path`, wait for its charts, and return what it asked the network for."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # forget what earlier pages did
    browser.get(path.as_uri())
    WebDriverWait(browser, 60).until(
        lambda _: len(browser.find_elements(By.CSS_SELECTOR, charts)) == count
    )
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
    events = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    urls = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert path.as_uri() in urls  # or the log would prove nothing
    return [url for url in urls if not url.startswith(("file:", "data:"))]


@pytest.fixture
def page(browser, finished_study):
    browser.set_window_size(1280, 900)
    assert visit(browser, finished_study.folder / "report.html", "[data-chart] svg", CHARTS) == []
    return browser


def set_scheme(page, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def test_page_is_one_file_of_modest_size(finished_study):
    size = (finished_study.folder / "report.html").stat().st_size
    # The full study shows eleven noise levels instead of three, all that grows.
    assert size + 300_000 < MOST_BYTES


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page, scheme):
    if not AXE.exists():
        pytest.skip("axe-core is not installed here (.ci/run installs it with npm)")
    set_scheme(page, scheme)
    page.execute_script(AXE.read_text(encoding="utf-8"))
    page.set_script_timeout(120)
    found = page.execute_async_script("axe.run().then(arguments[0])")
    set_scheme(page, "")
    assert found["passes"]
    serious = [
        (rule["id"], node["html"])
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
    assert serious == []


def test_charts_state_their_finding_and_have_a_table(page):
    for chart in page.find_elements(By.CSS_SELECTOR, ".chart"):
        figure = chart.find_element(By.XPATH, "..")
        finding = figure.find_element(By.TAG_NAME, "figcaption").text.removesuffix(".")
        assert chart.get_attribute("role") == "img"
        assert chart.get_attribute("aria-label").replace("\u00a0", " ") == finding
        assert len(figure.find_elements(By.CSS_SELECTOR, "details tbody tr")) >= 2


def test_every_image_has_alternative_text_and_every_table_headers(page):
    images = page.find_elements(By.TAG_NAME, "img")
    assert len(images) >= CHARTS + 2 + 12 * len(LEVELS)
    assert all(len(image.get_attribute("alt")) > 5 for image in images)
    assert all(image.get_property("naturalWidth") > 0 for image in images)
    tables = page.find_elements(By.TAG_NAME, "table")
    assert all(table.find_elements(By.TAG_NAME, "th") for table in tables)


def test_slider_drives_pictures_numbers_and_the_chart(page, finished_study):
    slider = page.find_element(By.ID, "level")
    rates = pd.read_csv(finished_study.folder / "plots/report/noise.csv").set_index("noise_level")
    page.execute_script("addEventListener('noiselevel', (event) => (window.heard = event), true)")
    slider.send_keys(Keys.HOME)
    for level in LEVELS:
        [shown] = [
            figure
            for figure in page.find_elements(By.CSS_SELECTOR, ".levels figure")
            if figure.is_displayed()
        ]
        assert page.find_element(By.CSS_SELECTOR, ".explorer output").text == level
        rate = f"reads {100 * rates.noisy[float(level)]:.1f} % noisy"
        assert rate in shown.text.replace("\u00a0", " ")
        assert page.execute_script("return views.figure_15_rates.signal('level')") == float(level)
        slider.send_keys(Keys.ARROW_RIGHT)
    assert page.execute_script("return heard.detail.level") == 1


def test_pictures_follow_the_level_chosen_elsewhere(page):
    send = "document.dispatchEvent(new CustomEvent('noiselevel', {detail: {level: arguments[0]}}))"
    page.execute_script(send, 0.97)
    assert page.find_element(By.CSS_SELECTOR, ".explorer output").text == "1.0"
    assert page.find_element(By.ID, "level").get_attribute("aria-valuetext") == "noise level 1"


def test_no_horizontal_scroll_on_a_phone(page):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.refresh()
        widths = page.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
        assert widths == [390, 390]
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_without_javascript_pictures_stand_in_for_what_moves(page):
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.refresh()
        figures = page.find_elements(By.CSS_SELECTOR, ".levels figure, img.drawing")
        assert len(figures) == len(LEVELS) + CHARTS + 2
        assert all(figure.is_displayed() for figure in figures)
        assert not page.find_element(By.ID, "level").is_displayed()
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_printed_page_has_at_most_eight_sheets(page):
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
    index = study.folder / "dvc_plots" / "index.html"
    assert visit(browser, index, ".vega-embed svg.marks", len(charts)) == []
    drawings = browser.find_elements(By.CSS_SELECTOR, ".vega-embed svg.marks")
    texts = [drawing.get_attribute("textContent") for drawing in drawings]
    for chart in charts:
        title = chart["title"]
        title = title["text"] if isinstance(title, dict) else title
        [drawing] = [text for text in texts if title in text]
        assert any(axis in drawing for axis in ("epoch", "L2 factor", "noise level", "read as"))
    [accuracy] = [text for text in texts if "Perceptron 64-64 (figure 1)" in text]
    assert "validation accuracy" in accuracy and "workspace" not in accuracy
