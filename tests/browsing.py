"""Help for tests in a real browser: a small page, visits, and what a visit must not do."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from selenium.webdriver.common.by import By

from reporting import page

# The style of page.html.j2 that parts of the page rely on.
FRAME = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Test</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; }
main { --text: #1d1d1f; --faint: #5c5c60; --ground: #fcfcfa; --card: #f3f3ef; --line: #d9d9d3; }
main { --accent: #0b5f94; --wrong: #a83a00; --noisy: #777; --denoised: #0a7d5a; }
@media (prefers-color-scheme: dark) {
  main { --text: #e9e7e2; --faint: #aeaca7; --ground: #151618; --card: #1f2124; --line: #3b3d42; }
  main { --accent: #6cc0f0; --wrong: #ff9d6b; --noisy: #aaa; --denoised: #4fc3a1; }
}
body { margin: 0; font: 1rem/1.6 sans-serif; }
main { color: var(--text); background: var(--ground); }
main { max-width: 46rem; margin: 0 auto; padding: 2rem 1rem; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 0.35rem 0.7rem 0.35rem 0; text-align: left; }
input[type="range"] { flex: 1; min-width: 4rem; height: 2.4rem; }
</style></head>
<body><main><h1>Test</h1>
{% if playground is defined %}{% include "playground/playground.html.j2" %}{% endif %}
<h2>A section</h2><h3>A question</h3>
{% if reading is defined %}{% include "reading/reading.html.j2" %}{% endif %}
</main></body></html>
"""


def write_page(path: Path, **parts: dict) -> None:
    """Write a page that has nothing but the `playground`, the `reading` test or both."""
    text = page.ENVIRONMENT.from_string(FRAME).render(parts)
    path.write_text(text, encoding="utf-8")


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


# Globals and methods that came after the browsers that the page promises to run in. Object.hasOwn
# stays: the driver needs it.
NEWER = """
  for (const name of ["Float16Array", "structuredClone", "Iterator", "DecompressionStream",
    "CompressionStream", "OffscreenCanvas", "scheduler", "Temporal", "Sanitizer"]) {
    delete window[name];
  }
  const arrays = [Array.prototype, Object.getPrototypeOf(Int8Array.prototype), String.prototype];
  for (const place of arrays) {
    for (const name of ["at", "findLast", "findLastIndex", "toSorted", "toReversed", "toSpliced",
      "with", "isWellFormed", "toWellFormed"]) delete place[name];
  }
  for (const [place, names] of [
    [Array, ["fromAsync"]], [Object, ["groupBy"]], [Map, ["groupBy"]],
    [Math, ["f16round", "sumPrecise"]], [Promise, ["try", "withResolvers"]],
    [Uint8Array, ["fromBase64", "fromHex"]], [RegExp, ["escape"]],
    [Element.prototype, ["checkVisibility", "setHTML", "setHTMLUnsafe", "getHTML", "moveBefore"]],
    [PointerEvent.prototype, ["getCoalescedEvents", "getPredictedEvents"]],
    [CanvasRenderingContext2D.prototype, ["roundRect", "reset", "createConicGradient"]],
    [Set.prototype, ["union", "intersection", "difference", "symmetricDifference", "isSubsetOf"]],
    [DataView.prototype, ["getFloat16", "setFloat16"]],
    [Document.prototype, ["startViewTransition", "caretPositionFromPoint"]],
  ]) {
    for (const name of names) delete place[name];
  }
"""


@contextlib.contextmanager
def without_newer_things(browser) -> Iterator[None]:
    """Take away from every page what browsers of 2021 did not have."""
    command = "Page.addScriptToEvaluateOnNewDocument"
    script = browser.execute_cdp_cmd(command, {"source": NEWER})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
