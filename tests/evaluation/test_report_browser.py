"""The report in a real browser, as a person meets it: light and dark, on a desk and on a phone, without a network."""

import re
from pathlib import Path

import pytest
from evaluation.made_up import make_run

from verigrad.evaluation.report import write_report

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return write_report(make_run(tmp_path_factory.mktemp("runs") / "demo")).as_uri()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(params=["light-1280", "dark-1280", "light-400", "dark-400"])
def page(request, browser, address):
    """The open report; in the end it must have said nothing on the console and asked for nothing but itself."""
    scheme, width = request.param.split("-")
    context = browser.new_context(offline=True, color_scheme=scheme, viewport={"width": int(width), "height": 900})
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    yield page
    context.close()
    assert (said, asked) == ([], [address])


def open_all(page):
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")


def luminance(colour):
    """Relative luminance of `rgb(r, g, b)`, as WCAG 2 defines it."""
    shares = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_curves_are_drawn(page):
    """Hiding the lines changes the picture of every chart, so they were in it."""
    open_all(page)
    charts = page.locator("svg.line").all()
    assert len(charts) == 8
    seen = [chart.screenshot() for chart in charts]
    for chart in charts:
        box = chart.bounding_box()
        assert box["width"] > 200 and box["height"] > 100
        assert all(line.bounding_box()["width"] > 100 for line in chart.locator(".curve").all())
    page.add_style_tag(content=".curve, .dot { visibility: hidden }")
    assert all(chart.screenshot() != before for chart, before in zip(charts, seen, strict=True))


def test_before_and_after_are_the_right_numbers(page):
    """3 of 8 samples before and 6 of 8 after; the dots lie at those shares of an axis that ends at 100 %."""
    assert page.locator(".big").inner_text() == "37.5 % → 75.0 %"
    assert page.locator(".delta").inner_text() == "+37.5 percentage points"
    (row,) = page.locator("h2:text('Where the gain comes from') + p + .card tbody tr").all()
    cells = row.locator("td").all_inner_texts()
    assert cells == ["held-out", "+37.5", "+18.2", "+19.3", "62.5 % → 87.5 %", "60.0 % → 85.7 %"]
    axis = page.locator(".plain .ivrow svg").first.bounding_box()
    for side, share in (("before", 0.375), ("after", 0.75)):
        dot = page.locator(f".plain g.{side} circle").bounding_box()
        assert (dot["x"] + dot["width"] / 2 - axis["x"]) / axis["width"] == pytest.approx(share, abs=0.01)


def test_samples_open_and_close(page):
    fold = page.locator("details.card", has_text="Solve a1").first
    program = fold.locator("pre", has_text="return 1 < 2").first
    assert not program.is_visible()
    fold.locator("summary").first.click()
    assert program.is_visible() and fold.get_by_text("No program was found in the answer.").is_visible()
    fold.locator("summary").first.click()
    assert not program.is_visible()


def test_nothing_is_wider_than_the_screen(page, tmp_path):
    for step in (lambda page: None, open_all):
        step(page)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0
    page.screenshot(path=tmp_path / "report.png", full_page=True)


def test_text_stands_out_from_its_background(page):
    """Contrast of at least 4.5, WCAG 2's bound for small text; a dark page is dark."""
    colours = "element => [getComputedStyle(element).color, getComputedStyle(element).backgroundColor]"
    ink, paper = map(luminance, page.locator("body").evaluate(colours))
    muted, _ = map(luminance, page.locator("p.muted").first.evaluate(colours))
    assert (paper < 0.05) == page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    for text in (ink, muted):
        assert (max(text, paper) + 0.05) / (min(text, paper) + 0.05) >= 4.5
