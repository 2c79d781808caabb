"""The page in a real browser: complete, accessible, on every screen, on paper, offline."""

import base64
import json
import shutil

import pandas as pd
import pytest
import vl_convert
from browsing import assert_quiet, find, find_all, visit
from conftest import ROOT, Project, read_yaml
from made_up import made_up_project, render
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from reporting import tables

AXE = ROOT / "node_modules/axe-core/axe.min.js"
LEVELS = [0.0, 0.5, 1.0]


@pytest.fixture(scope="module")
def made_up(tensorflow, tmp_path_factory) -> Project:
    """Render a page of made-up results, with more test images than it may have."""
    folder = tmp_path_factory.mktemp("page")
    project = made_up_project(folder, images=4000, eval_noise__noise_levels=LEVELS)
    render(project)
    return project


@pytest.fixture
def page(browser, made_up):
    """The page in the browser; whatever a test does, nothing is requested or fails."""
    visit(browser, made_up.folder / "report.html")
    yield browser
    assert_quiet(browser)


def test_axe_finds_nothing_in_light_and_dark_before_and_after_the_reading_test(page):
    if not AXE.exists():
        pytest.skip("axe-core is not installed here (.ci/run installs it with npm)")
    page.set_script_timeout(120)
    page.execute_script(AXE.read_text(encoding="utf-8"))
    page.execute_script("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
    find(page, ".sheet canvas").click()
    find(page, ".start").send_keys(Keys.ENTER)
    for answers in ("", 30 * "x"):
        ActionChains(page).send_keys(answers).perform()
        for scheme in ("light", "dark"):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            found = page.execute_async_script("axe.run().then(arguments[0])")
            assert found["passes"]
            assert found["violations"] == []
    assert find(page, ".result").is_displayed()


def test_every_figure_is_drawn_beside_its_numbers_on_a_page_of_two_megabytes(page, made_up):
    drawn = {each.get_attribute("data-name") for each in find_all(page, ".picture:has(svg)")}
    assert drawn == {path.stem for path in (made_up.folder / "plots/report").glob("*.png")}
    for name in drawn & set(vars(tables)):
        assert find_all(page, f":has(> [data-name={name}]) + * tbody tr"), name
    assert len(page.page_source.encode()) < 2_000_000


def test_slider_drives_pictures_numbers_and_the_chart(page, made_up):
    slider = find(page, "#level")
    rates = pd.read_csv(made_up.folder / "plots/report/noise.csv", index_col="noise_level")
    slider.send_keys(Keys.HOME)
    for level in LEVELS:
        [visible] = [each for each in find_all(page, ".levels > *") if each.is_displayed()]
        assert find(page, ".explorer output").text == str(level)
        assert visible.get_attribute("data-level") == str(level)
        assert f"{100 * rates.noisy[level]:.1f}" in visible.text
        lines = find_all(page, "[data-name=figure_15_rates] [id^=level] path")
        opacities = [float(line.value_of_css_property("stroke-opacity")) for line in lines]
        assert opacities == [each == level for each in LEVELS]
        slider.send_keys(Keys.ARROW_RIGHT)


MEASURE_LETTERS = """
  const scale = ({ a, b }) => Math.hypot(a, b);
  return [...document.querySelectorAll(".picture text")]
    .filter((text) => text.checkVisibility())
    .map((text) => scale(text.getScreenCTM()) * parseFloat(getComputedStyle(text).fontSize));
"""


def test_on_a_phone_nothing_scrolls_sideways_and_all_can_be_read_and_tapped(page):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.refresh()
    find(page, ".start").send_keys(Keys.ENTER)
    widths = page.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
    assert widths == [390, 390]
    assert min(page.execute_script(MEASURE_LETTERS)) >= 11
    sheet, verdict = (find(page, selector).rect for selector in (".sheet", ".verdict"))
    assert 0 <= verdict["y"] - sheet["y"] - sheet["height"] < 20
    for target in find_all(page, ".widget :is(button, summary, label)"):
        if target.is_displayed():
            assert min(target.rect["width"], target.rect["height"]) >= 24, target.text


def test_page_without_javascript_shows_everything_but_what_moves_and_says_why(page):
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    page.refresh()
    pictures = [picture.is_displayed() for picture in find_all(page, ".picture")]
    assert len(pictures) > 10 and all(pictures)
    moving = find_all(page, "#level, .playground, .reading")
    assert [each.is_displayed() for each in moving] == [False, False, False]
    needs = find(page, ".needs").text  # empty where it is hidden
    assert "Chrome or Edge 96, Firefox 94, Safari 15" in needs


def test_printed_page_shows_every_level_on_at_most_eight_sheets(page):
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert all(figure.is_displayed() for figure in find_all(page, ".levels figure"))
    printed = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {})["data"])
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
