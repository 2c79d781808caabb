"""Help for tests in a real browser: a small page, visits, and what a visit must not do."""

import json
from pathlib import Path

import jinja2
from selenium.webdriver.common.by import By

from reporting.playground import pack as page_browser

# The variables of colour that report.html.j2 defines.
FRAME = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Test</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {
  color-scheme: light dark;
  --text: light-dark(#1d1d1f, #e9e7e2);
  --faint: light-dark(#5c5c60, #aeaca7);
  --ground: light-dark(#fcfcfa, #151618);
  --card: light-dark(#f3f3ef, #1f2124);
  --line: light-dark(#d9d9d3, #3b3d42);
  --accent: light-dark(#0b5f94, #6cc0f0);
  --wrong: light-dark(#a83a00, #ff9d6b);
}
body { margin: 0; color: var(--text); background: var(--ground); font: 1rem/1.6 sans-serif; }
main { max-width: 46rem; margin: 0 auto; padding: 2rem 1rem; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 0.35rem 0.7rem 0.35rem 0; text-align: left; }
input[type="range"] { flex: 1; min-width: 4rem; height: 2.4rem; }
</style></head>
<body><main><h1>Test</h1>
{% if playground is defined %}{% include "playground.html.j2" %}{% endif %}
<h2>A section</h2><h3>A question</h3>
{% if reading is defined %}{% include "reading.html.j2" %}{% endif %}
</main></body></html>
"""


def write_page(path: Path, **parts: dict) -> None:
    """Write a page that has nothing but the `playground`, the `reading` test or both."""
    loader = jinja2.FileSystemLoader(Path(page_browser.__file__).parent)
    environment = jinja2.Environment(
        loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    path.write_text(environment.from_string(FRAME).render(parts), encoding="utf-8")


def visit(browser, path: Path) -> None:
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


def find_all(place, selector: str) -> list:
    return place.find_elements(By.CSS_SELECTOR, selector)
