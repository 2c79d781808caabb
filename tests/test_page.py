"""The report: its sentences follow the measurements, and it works in a real browser."""

import base64
import json
import re
import shutil

import pandas as pd
import pytest
import vl_convert
from conftest import ROOT
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from page.facts import claims, crossing, most_confused, within_spread

LEVELS = [0.0, 0.5, 1.0]  # of the small study
MOST_BYTES = 5_000_000


def test_crossing():
    assert crossing([0, 0.5, 1], [0.9, 0.6, 0.4]) == pytest.approx(0.75)
    assert crossing([0, 1], [0.9, 0.8]) is None
    assert crossing([0.2, 1], [0.4, 0.1]) == 0.2


def verdicts(noisy, denoised, levels=(0.0, 0.1, 0.2, 0.8, 1.0)):
    rates = pd.DataFrame({"noise_level": levels, "noisy": noisy, "denoised": denoised})
    return [claim["verdict"] for claim in claims(rates)]


def test_published_claims_are_judged_by_the_curves():
    assert verdicts([0.9, 0.9, 0.8, 0.1, 0.01], [0.8, 0.8, 0.9, 0.2, 0.01]) == ["holds"] * 4
    assert verdicts([0.7, 0.9, 0.8, 0.3, 0.1], [0.8, 0.8, 0.7, 0.4, 0.1]) == ["does not hold"] * 4
    assert verdicts([0.5], [0.5], levels=[0.15]) == ["not measured"] * 4


def test_most_confused():
    predictions = pd.DataFrame({"actual": [4, 4, 4, 9], "predicted": [9, 9, 4, 4]})
    assert most_confused(predictions) == {"actual": 4, "predicted": 9, "count": 2}
    assert most_confused(predictions[2:3]) is None


def test_within_spread_of_the_best_factor():
    cells = pd.DataFrame({"factor": [1, 1, 2, 2], "test_accuracy": [0.97, 0.98, 0.5, 0.99]})
    numbers = pd.DataFrame(
        {"name": ["sweep_best", "sweep_hinton", "cnn"], "published": [0.975, 0.985, 0.5]}
    )
    assert within_spread(numbers, cells, 1) == ["yes", "no", ""]


def report_with(study, *, good: bool) -> str:
    """The Markdown report on measurements made up so that every conclusion is the one way
    (`good`) or the other."""

    def change(path, **values):
        path = study.folder / path
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    change("metrics/train_mlp.json", accuracy=0.9, validation_accuracy=0.95 if good else 0.85)
    change("metrics/train_cnn.json", accuracy=0.9, validation_accuracy=0.95 if good else 0.85)
    change("metrics/train_cnn.json", test_accuracy=0.995 if good else 0.9)
    for cell in (study.folder / "metrics/sweep_l2").glob("*.json"):
        replicate = int(cell.stem[-1])
        lead = 0.002 if cell.stem.startswith("0.001") == good else 0
        accuracy = (0.985 if good else 0.965) + lead + replicate * (0.0001 if good else 0.004)
        change(cell, validation_accuracy=accuracy, test_accuracy=accuracy)
    rates = pd.read_csv(study.folder / "plots/eval_noise/rates.csv")
    rates["noisy"] = [0.9, 0.4, 0.1] if good else [0.9, 0.8, 0.7]
    rates["denoised"] = [0.95, 0.8, 0.3] if good else [0.8, 0.7, 0.6]
    rates.to_csv(study.folder / "plots/eval_noise/rates.csv", index=False)
    predictions = pd.read_csv(study.folder / "plots/train_cnn/predictions.csv")
    predictions["predicted"] = predictions.actual
    if not good:
        predictions.loc[:5, "predicted"] = (predictions.actual[:6] + 1) % 10
    predictions.to_csv(study.folder / "plots/train_cnn/predictions.csv", index=False)
    arguments = ["--factors", "1e-06", "0.001", "--replicates", "1", "2"]
    study.run("python", "stages/report.py", *arguments)
    return (study.folder / "report.md").read_text()


SENTENCES = {
    # when the measurements are good: when they are not
    "Training is not ahead of validation": "Training is ahead by 5.00 percentage points",
    "(published) is reached**, and exceeded by": "(published) is not reached**",
    "with factor 0.001.": "with factor 1e-06.",
    "so the choice of its factor means something": "between these two factors, chance decides",
    "below validation at 95.00 %": "not below validation at 85.00 %",
    "more accuracy from 17 % of the parameters": "did not gain accuracy",
    "It makes no mistake": "What it mixes up most",
    "fewer than half of the noisy images from level 0.40": "more than half of the noisy images",
    "falls below one half at level 0.80": "stays above one half at every level",
    "Denoising helps from level 0.0 to 1.0": "Denoising helps at no level",
    "On clean images denoising costs nothing": "On clean images denoising costs 10.00",
    "It gains most at level 0.5: 40.0 %": "At no level are denoised images recognised better",
    "denoised ahead at 1 of 1 levels | holds": "denoised ahead at 0 of 1 levels | does not hold",
}


@pytest.mark.parametrize("good", [True, False])
def test_sentences_follow_the_measurements(study, good):
    text = report_with(study, good=good)
    for if_good, if_not in SENTENCES.items():
        assert (if_good in text) == good, if_good
        assert (if_not in text) != good, if_not


def test_the_text_states_the_protocol(study):
    assert "are validated on the 300 test images" in (study.folder / "report.md").read_text()
    assert "only a quick look" not in (study.folder / "report.md").read_text()
    parameters = study.parameters
    parameters["preprocess"]["validation"] = 100
    study.parameters = parameters
    study.run("dvc", "repro", "--single-item", "preprocess", "report")
    text = (study.folder / "report.md").read_text()
    assert "every choice is made on 100 held-out training images, with 900 left" in text
    assert "This was a quick look" in text


def test_links_of_the_markdown_lead_to_files(finished_study):
    links = re.findall(r"\]\(([^)]+)\)", (finished_study.folder / "report.md").read_text())
    assert len(links) == 6 + len(LEVELS)  # figures 1, 2, 3, 15, confusion, mistakes; 4-14
    assert all((finished_study.folder / link).is_file() for link in links)


def test_committed_report_shows_all_fifteen_figures():
    text = (ROOT / "report.md").read_text()
    assert len(set(re.findall(r"figures_04-14_noise_[\d.]+\.png", text))) == 11
    assert all(f"figure_{number}_" in text for number in ("01", "02", "03", "15"))


def test_page_is_one_file_of_modest_size(finished_study):
    page = (finished_study.folder / "report.html").read_bytes()
    figures = sum(path.stat().st_size for path in (ROOT / "plots").rglob("*.png"))
    # In the full study more figures, as base64, stand in the same page.
    assert len(page) + len(base64.b64encode(bytes(figures))) < MOST_BYTES
    content = page.split(b'<script type="module">')[0]
    assert re.findall(rb'(?:src|href)="(?!data:)[^"]*"', content) == []


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium that keeps what pages log and request."""
    programs = [shutil.which(name) for name in ("chromium", "google-chrome")]
    program, driver = next(filter(None, programs), None), shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("no Chromium with its driver here (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    running = webdriver.Chrome(options=options, service=Service(driver))
    yield running
    running.quit()


def visit(browser, path, charts, count):
    """Open the file `path` and wait for its charts; what it asked the network for."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # forget what earlier pages did
    browser.get(path.as_uri())
    WebDriverWait(browser, 30).until(
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
    assert visit(browser, finished_study.folder / "report.html", "[data-chart] svg", 6) == []
    return browser


def test_every_image_has_alternative_text_and_every_table_headers(page):
    images = page.find_elements(By.TAG_NAME, "img")
    assert len(images) == 6 + len(LEVELS)
    assert all(len(image.get_attribute("alt")) > 20 for image in images)
    assert all(image.get_property("naturalWidth") > 0 for image in images)
    tables = page.find_elements(By.TAG_NAME, "table")
    assert tables
    assert all(table.find_elements(By.TAG_NAME, "th") for table in tables)


def test_the_slider_changes_picture_and_guess(page, finished_study):
    slider = page.find_element(By.CSS_SELECTOR, ".explorer input")
    examples = pd.read_csv(finished_study.folder / "plots/eval_noise/examples.csv")
    slider.send_keys(Keys.HOME)
    pictures = []
    for level in LEVELS:
        figures = page.find_elements(By.CSS_SELECTOR, ".explorer figure")
        [shown] = [figure for figure in figures if figure.is_displayed()]
        assert page.find_element(By.CSS_SELECTOR, ".explorer output").text == str(level)
        assert slider.get_attribute("aria-valuetext") == f"noise level {level}"
        first = examples[(examples.noise_level == level) & (examples.image == 0)]
        noisy = first.set_index("kind").loc["noisy"]
        guess = f"{noisy.actual:.0f} read as {noisy.predicted:.0f} ({noisy.probability:.2f}) noisy"
        assert guess in shown.text
        pictures.append(shown.find_element(By.TAG_NAME, "img").get_attribute("src"))
        slider.send_keys(Keys.ARROW_RIGHT)
    assert len(set(pictures)) == len(LEVELS)


def test_no_horizontal_scroll_on_a_phone(page):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.refresh()
        widths = page.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
        assert widths == [390, 390]
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_without_javascript_the_pictures_stand_in_a_row(page):
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.refresh()
        figures = page.find_elements(By.CSS_SELECTOR, ".explorer figure")
        assert len(figures) == len(LEVELS)
        assert all(figure.is_displayed() for figure in figures)
        assert len({figure.location["y"] for figure in figures}) == 1
        assert not page.find_element(By.CSS_SELECTOR, ".explorer input").is_displayed()
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_dvc_plots_opens_without_network(browser, study):
    (study.folder / ".venv").mkdir()
    (study.folder / ".venv" / "vega.js").write_text(vl_convert.javascript_bundle())
    study.run("dvc", "plots", "show")
    shown = json.loads(study.run("dvc", "plots", "show", "--json").stdout)["data"]
    charts = [
        plot["content"] for plots in shown.values() for plot in plots if plot["type"] == "vega"
    ]
    assert len(charts) >= 12
    assert all(chart["title"] for chart in charts)
    index = study.folder / "dvc_plots" / "index.html"
    drawn = ".vega-embed svg.marks"
    assert visit(browser, index, drawn, len(charts)) == []
    words = [
        drawing.find_elements(By.TAG_NAME, "text")
        for drawing in browser.find_elements(By.CSS_SELECTOR, drawn)
    ]
    texts = [{word.text for word in found} for found in words]
    for chart in charts:
        title = chart["title"]
        title = title["text"] if isinstance(title, dict) else title
        [drawing] = [text for text in texts if title in text]
        assert "workspace" in drawing, f"{title}: no legend"
        axes = {"epoch", "L2 factor", "noise level", "noise_level", "predicted digit"}
        assert drawing & axes, f"{title}: no label on the x axis"
