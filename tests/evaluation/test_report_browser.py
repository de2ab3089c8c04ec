"""The report in a real browser, as a person meets it: light and dark, on a desk and on a phone, without a network."""

import re
from contextlib import contextmanager
from pathlib import Path

import pytest
from evaluation.made_up import make_proxy_run, make_reward_model_run, make_run

from verigrad.evaluation.reports.report import write_report

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


LOOKS = ["light-1280", "dark-1280", "light-400", "dark-400"]


@contextmanager
def opened(browser, address, look):
    """The open report; in the end it must have said nothing on the console and asked for nothing but itself."""
    scheme, width = look.split("-")
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


@pytest.fixture(params=LOOKS)
def page(request, browser, address):
    with opened(browser, address, request.param) as page:
        yield page


def width_to_spare(page):
    return page.evaluate("document.documentElement.clientWidth - document.documentElement.scrollWidth")


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
        assert width_to_spare(page) >= 0
    page.screenshot(path=tmp_path / "report.png", full_page=True)


def test_text_stands_out_from_its_background(page):
    """Contrast of at least 4.5, WCAG 2's bound for small text; a dark page is dark."""
    colours = "element => [getComputedStyle(element).color, getComputedStyle(element).backgroundColor]"
    ink, paper = map(luminance, page.locator("body").evaluate(colours))
    muted, _ = map(luminance, page.locator("p.muted").first.evaluate(colours))
    assert (paper < 0.05) == page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    for text in (ink, muted):
        assert (max(text, paper) + 0.05) / (min(text, paper) + 0.05) >= 4.5


# -------------------------------------------------------------------------------------- reward models


def check_that_marks_are_in_the_picture(page, chart, marks):
    """Hiding a chart's marks changes its picture, so they were in it."""
    box = chart.bounding_box()
    assert box["width"] > 200 and box["height"] > 100
    seen = chart.screenshot()
    chart.evaluate("(svg, marks) => svg.querySelectorAll(marks).forEach(e => e.style.visibility = 'hidden')", marks)
    assert chart.screenshot() != seen


@pytest.mark.parametrize("look", LOOKS)
def test_the_page_of_a_reward_model(browser, tmp_path, look):
    """Headings, figures and every kind of chart can be seen, and an example opens; test_held_out.py has the figures."""
    address = write_report(make_reward_model_run(tmp_path / "demo")).as_uri()
    with opened(browser, address, look) as page:
        headings = page.locator("h2").all_inner_texts()
        assert headings == [
            "Does it put answers in the right order?",
            "Calibration",
            "Scores of passing and failing answers",
            "Length bias",
            "Most confidently wrong",
            "Training",
            "Configuration",
            "Notes",
        ]
        pairs = page.locator(".shares .ivrow", has_text="Pair accuracy")
        assert pairs.locator("b").inner_text() == "60.0 %"
        axis, dot = (pairs.locator(part).bounding_box() for part in ("svg", "circle"))
        assert (dot["x"] + dot["width"] / 2 - axis["x"]) / axis["width"] == pytest.approx(0.6, abs=0.01)
        assert page.get_by_text("expected calibration error 41.8 %").is_visible()
        check_that_marks_are_in_the_picture(page, page.locator("svg.reliability"), ".gain")
        check_that_marks_are_in_the_picture(page, page.locator("svg.reliability"), ".count")
        check_that_marks_are_in_the_picture(page, page.locator("svg.reliability"), ".ideal")
        check_that_marks_are_in_the_picture(page, page.locator("svg.histogram"), ".s-passed")
        check_that_marks_are_in_the_picture(page, page.locator("svg.histogram"), ".s-failed")
        check_that_marks_are_in_the_picture(page, page.locator("svg.scatter"), ".spot")
        check_that_marks_are_in_the_picture(page, page.locator("svg.line", has_text="loss").first, ".curve")
        worst = page.locator("details.card").first
        answer = worst.locator("pre", has_text="return 3 < 4")
        assert worst.locator("summary").first.inner_text().startswith("made-up@1/p3") and not answer.is_visible()
        worst.locator("summary").first.click()
        assert answer.is_visible() and page.get_by_text("Labelled better").first.is_visible()
        open_all(page)
        assert width_to_spare(page) >= 0


@pytest.mark.parametrize("look", LOOKS)
def test_a_warning_of_over_optimisation_stands_out(browser, tmp_path, look):
    gold = [0.2 + 0.01 * min(s, 30 - s) for s in range(1, 31)]
    folder = make_proxy_run(tmp_path / "demo", gold, kl=[0.001 * s for s in range(1, 31)])
    with opened(browser, write_report(folder).as_uri(), look) as page:
        warning = page.locator(".warning")
        assert warning.is_visible() and "while fewer programs pass their tests" in warning.inner_text()
        colours = (
            "element => [getComputedStyle(element).color, getComputedStyle(element.parentElement).backgroundColor]"
        )
        ink, paper = map(luminance, warning.locator("h3").evaluate(colours))
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5
        section = page.locator("section", has_text="Reward model against tests")
        charts = section.locator("svg.line").all()
        assert len(charts) == 4
        for chart in charts:
            check_that_marks_are_in_the_picture(page, chart, ".curve")
        assert width_to_spare(page) >= 0
