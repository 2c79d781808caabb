"""The page in a real browser: complete, accessible, on every screen, on paper, offline."""

import base64
import json
import shutil

import pandas as pd
import pytest
import vl_convert
from browsing import assert_quiet, find_all, visit
from conftest import ROOT, Project, read_yaml
from made_up import made_up_project, render
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from reporting import tables

AXE = ROOT / "node_modules/axe-core/axe.min.js"
LEVELS = ["0.0", "0.5", "1.0"]
MOST_BYTES = 2_000_000


@pytest.fixture(scope="module")
def made_up(tensorflow, tmp_path_factory) -> Project:
    """Render a page of made-up results."""
    levels = [float(level) for level in LEVELS]
    project = made_up_project(tmp_path_factory.mktemp("page"), eval_noise__noise_levels=levels)
    render(project)
    return project


@pytest.fixture
def shown(browser, made_up):
    visit(browser, made_up.folder / "report.html")
    yield browser
    assert_quiet(browser)


def emulate(browser, media="", scheme="light") -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(shown, scheme):
    if not AXE.exists():
        pytest.skip("axe-core is not installed here (.ci/run installs it with npm)")
    emulate(shown, scheme=scheme)
    shown.execute_script(AXE.read_text(encoding="utf-8"))
    shown.set_script_timeout(120)
    found = shown.execute_async_script("axe.run().then(arguments[0])")
    emulate(shown)
    assert found["passes"]
    serious = [rule for rule in found["violations"] if rule["impact"] in ("serious", "critical")]
    assert serious == []


def test_every_file_of_a_figure_is_drawn_with_its_finding_and_its_numbers(shown, made_up):
    drawn = {figure.get_attribute("data-name"): figure for figure in find_all(shown, ".picture")}
    files = (made_up.folder / "plots/report").glob("*.png")
    assert set(drawn) == {path.stem for path in files}
    for name, figure in drawn.items():
        assert figure.get_attribute("role") == "img"
        assert len(figure.get_attribute("aria-label")) > 20
        assert len(find_all(figure, "svg")) == 1
        if hasattr(tables, name):
            table = figure.find_element(By.XPATH, "../following-sibling::*")
            assert find_all(table, "tbody tr"), name
    assert find_all(shown, "img") == []
    assert len(shown.page_source.encode()) < MOST_BYTES


def test_slider_drives_pictures_numbers_and_the_chart(shown, made_up):
    slider = shown.find_element(By.ID, "level")
    rates = pd.read_csv(made_up.folder / "plots/report/noise.csv", index_col="noise_level")
    slider.send_keys(Keys.HOME)
    for level in LEVELS:
        [visible] = [each for each in find_all(shown, ".levels > *") if each.is_displayed()]
        assert find_all(shown, ".explorer output")[0].text == level
        assert visible.get_attribute("data-level") == level
        assert f"{100 * rates.noisy[float(level)]:.1f}" in visible.text
        lines = find_all(shown, "[data-name=figure_15_rates] [id^=level]")
        opacity = [line.find_element(By.TAG_NAME, "path") for line in lines]
        opacity = [float(path.value_of_css_property("stroke-opacity")) for path in opacity]
        assert opacity == [float(line.get_attribute("id") == f"level-{level}") for line in lines]
        slider.send_keys(Keys.ARROW_RIGHT)


def test_no_horizontal_scroll_on_a_phone(shown):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    shown.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    shown.refresh()
    widths = shown.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
    letters = shown.execute_script(
        "const scale = ({ a, b }) => Math.hypot(a, b);"
        "return Math.min(...[...document.querySelectorAll('.picture text')]"
        ".filter((text) => text.checkVisibility())"
        ".map((text) => scale(text.getScreenCTM()) * parseFloat(getComputedStyle(text).fontSize)))"
    )
    shown.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert widths == [390, 390]
    assert letters >= 11, "pixels of the smallest letters in a figure"


def test_page_without_javascript_shows_everything_but_what_moves(shown):
    shown.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    shown.refresh()
    pictures = [picture.is_displayed() for picture in find_all(shown, ".picture")]
    moving = [each.is_displayed() for each in find_all(shown, "#level, .playground, .reading")]
    shown.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert len(pictures) > 10 and all(pictures)
    assert moving == [False, False, False]


def test_printed_page_shows_every_level_on_at_most_eight_sheets(shown):
    emulate(shown, media="print")
    levels = [figure.is_displayed() for figure in find_all(shown, ".levels figure")]
    emulate(shown)
    assert levels == [True] * len(LEVELS)
    printed = base64.b64decode(shown.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert 3 <= printed.count(b"/Type /Page\n") <= 8


def test_dvc_plots_opens_offline_with_both_revisions(browser, made_up):
    listed = [plot for plot in read_yaml(ROOT / "dvc.yaml")["plots"] if isinstance(plot, dict)]
    own = {path.stem for path in (ROOT / ".dvc/plots").glob("*.json")}
    plots = [plot for plot in listed if next(iter(plot.values())).get("template") in own]
    (made_up.folder / "dvc.yaml").write_text(json.dumps({"plots": plots}))
    ignored = shutil.ignore_patterns("cache", "tmp", "config.local")
    shutil.copytree(ROOT / ".dvc", made_up.folder / ".dvc", ignore=ignored)
    made_up.run("git", "init", "--quiet")
    made_up.commit("Plots")
    made_up.change(threads=2)
    bundle = vl_convert.javascript_bundle(vl_version="5.20")
    (made_up.folder / ".venv").mkdir()
    (made_up.folder / ".venv/vega.js").write_text(bundle, encoding="utf-8")
    made_up.run("dvc", "plots", "diff", "HEAD")
    visit(browser, made_up.folder / "dvc_plots/index.html")
    drawn = ".vega-embed svg.marks"
    WebDriverWait(browser, 60).until(lambda _: len(find_all(browser, drawn)) == len(plots))
    assert_quiet(browser)
    texts = [svg.get_attribute("textContent") for svg in find_all(browser, drawn)]
    assert all("workspace" in text and "HEAD" in text for text in texts)
