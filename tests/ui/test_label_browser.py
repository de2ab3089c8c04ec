"""Labelling in a real browser by keyboard alone, on a real server that is killed in the middle."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from ui.made_up import EVIL, sample, sample_rows, write_samples

from verigrad.training.sft import read_demonstrations
from verigrad.ui.folder import read_store

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")]


class Server:
    """`verigrad label` as a process of its own."""

    def __init__(self, folder, *samples):
        command = [sys.executable, "-m", "verigrad.cli.main", "label", *map(str, samples), "--folder", str(folder)]
        self.process = subprocess.Popen(
            [*command, "--overlap", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.process.stdout.readline()
        self.address = self.process.stdout.readline().split()[1]

    def end(self, number):
        """Send a signal; returns the exit status and what was still printed."""
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=20)
        return self.process.returncode, said


@pytest.fixture
def start(tmp_path):
    servers = []

    def build(*samples):
        servers.append(Server(tmp_path / "labels", *samples))
        return servers[-1]

    yield build
    for server in servers:
        if server.process.poll() is None:
            server.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser):
    """`opened(...)`: a page of a new person; in the end nothing was said on a console, and nobody else was asked."""
    contexts, said, asked = [], [], []

    def build(expected=(), **settings):
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.on("console", lambda message: message.text in expected or said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(urlsplit(request.url)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        return page

    yield build
    for context in contexts:
        context.close()
    assert said == []
    assert asked and {(address.scheme, address.hostname) for address in asked} <= {
        ("http", "127.0.0.1"),
        ("data", None),
    }


def log_in(page, server, name="Ann"):
    page.goto(server.address)
    page.wait_for_function("document.activeElement.tagName === 'INPUT'")  # a letter typed before that is lost
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.wait_for_selector(".sides, .done")
    page.wait_for_load_state()  # the script, too


def current(page):
    return page.locator("[data-item]").get_attribute("data-item")


def press(page, key):
    """Press a key that moves to another item; returns that item."""
    before = current(page)
    page.keyboard.press(key)
    page.wait_for_selector(f'[data-item]:not([data-item="{before}"])')
    return current(page)


def test_label_undo_correct_crash_and_go_on(start, opened, tmp_path):
    server = start(write_samples(tmp_path / "samples.jsonl", sample_rows(8)))
    page = opened(expected=["Failed to load resource: net::ERR_CONNECTION_REFUSED"])  # while the server is down
    log_in(page, server)
    assert "token" not in page.url
    seen = [current(page)]
    for key in ("1", "2", "3", "s"):
        seen.append(press(page, key))
    page.keyboard.press("t")
    page.wait_for_selector(".outcome")
    page.keyboard.press("t")
    assert not page.locator(".outcome").first.is_visible()
    seen.append(press(page, "1"))
    assert len(set(seen)) == 6

    assert press(page, "u") == seen[4]
    page.wait_for_selector("#notice p:has-text('Taken back: left is better')")
    assert press(page, "2") == seen[5]

    page.keyboard.press("e")
    assert page.locator("#program").input_value().startswith("def running_max(values):\n")
    page.keyboard.press("Control+End")
    page.keyboard.type("# corrected 1 2 3 s u t\nif True:\nx = 1")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("text=1 demonstration saved for this task")
    assert not page.locator("#editor").is_visible() and current(page) == seen[5]

    # Killed without a word: what was confirmed is there, what was not is said to be lost, and nothing moves on.
    assert server.end(signal.SIGKILL)[0] == -signal.SIGKILL
    page.keyboard.press("1")
    page.wait_for_selector("#notice p.bad:has-text('this was not recorded')")
    assert current(page) == seen[5]
    page.context.clear_cookies()

    again = start()
    fresh = opened()
    log_in(fresh, again)
    assert current(fresh) == seen[5] and fresh.locator(".counts b").first.inner_text() == "5"
    fresh.keyboard.press("u")
    fresh.wait_for_selector("#notice p:has-text('Taken back: the demonstration')")
    assert current(fresh) == seen[5]
    assert press(fresh, "u") == seen[4]
    assert press(fresh, "1") == seen[5]

    assert again.end(signal.SIGKILL)[0] == -signal.SIGKILL
    store = read_store(tmp_path / "labels")
    assert [choice.item for choice in store.standing("Ann")] == seen[:5]
    chosen = [
        "left" if choice.preferred == choice.left else "right" if choice.preferred in "ab" else choice.preferred
        for choice in store.standing("Ann")
    ]
    assert chosen == ["left", "right", "tie", "skip", "left"]
    assert [choice.tests_shown for choice in store.standing("Ann")] == [False] * 4 + [True]
    rows = [json.loads(line) for line in (tmp_path / "labels" / "annotations.jsonl").read_text().splitlines()]
    assert [row["event"] for row in rows if row["event"] != "tests"] == [
        *(["choice"] * 5),
        *("retraction", "choice", "demonstration", "retraction", "retraction", "choice"),
    ]
    corrected = next(row["completion"] for row in rows if row["event"] == "demonstration")
    assert corrected.endswith("# corrected 1 2 3 s u t\nif True:\n    x = 1\n```")


def test_undo_of_a_demonstration_then_all_the_way_back(start, opened, tmp_path):
    server = start(write_samples(tmp_path / "samples.jsonl", sample_rows(3)))
    page = opened()
    log_in(page, server)
    first = current(page)
    second = press(page, "3")
    page.keyboard.press("n")
    page.keyboard.type("def f():")
    page.keyboard.press("Enter")
    page.keyboard.type("return 1")
    page.keyboard.press("Escape")
    assert not page.locator("#editor").is_visible()
    page.keyboard.press("n")  # the draft is still there
    assert page.locator("#program").input_value() == "def f():\n    return 1"
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("text=1 demonstration saved")
    (found,) = read_demonstrations(tmp_path / "labels" / "demonstrations.jsonl")
    assert found.answer == "```python\ndef f():\n    return 1\n```"
    page.keyboard.press("u")
    page.wait_for_selector("#notice p:has-text('Taken back: the demonstration')")
    assert current(page) == second
    assert press(page, "u") == first
    for _ in range(3):
        press(page, "1")
    assert page.locator("h1:has-text('Nothing is left for you')").is_visible()
    assert page.locator('[data-key="1"]').is_disabled() and not page.locator('[data-key="u"]').is_disabled()
    status, said = server.end(signal.SIGINT)
    assert status == 0 and "3 judgements and 0 demonstrations, of 1 people" in said and "Traceback" not in said
    assert len(read_store(tmp_path / "labels").standing("Ann")) == 3


def test_a_program_is_not_saved_for_another_item(start, opened, tmp_path):
    """While one tab's editor is open another tab judges the item: what was written is no answer to the next one."""
    server = start(write_samples(tmp_path / "samples.jsonl", sample_rows(3)))
    page = opened(expected=["Failed to load resource: the server responded with a status of 409 (Conflict)"])
    log_in(page, server)
    first = current(page)
    other = page.context.new_page()
    other.goto(page.url)
    other.wait_for_selector(".sides")
    other.wait_for_load_state()
    page.keyboard.press("n")
    page.keyboard.type("first = 1")
    second = press(other, "1")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#notice p.bad:has-text('nothing was recorded')")
    assert current(page) == second and not page.locator("#editor").is_visible()
    page.keyboard.press("Control+Enter")
    assert press(page, "u") == first
    page.keyboard.press("n")  # the draft is with the item it was written for
    assert page.locator("#program").input_value() == "first = 1"
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("text=1 demonstration saved")
    assert [event.item for event in read_store(tmp_path / "labels").demonstrations()] == [first]


def test_a_hostile_program_is_only_text(start, opened, tmp_path):
    rows = [sample(0, number, f"x = {number} # {EVIL}\n", 1) for number in range(2)]
    for row in rows:
        row.update(prompt=EVIL, completion=f"{EVIL} {row['sample']}")
        row["results"][1].update(name=EVIL, detail=EVIL)
    page = opened()
    log_in(page, start(write_samples(tmp_path / "s.jsonl", rows)), "</script><script>alert(2)</script>")
    page.keyboard.press("t")
    page.wait_for_selector(".outcome")
    assert page.locator("main img, main script").count() == 0
    assert "<script>alert" in page.locator(".side pre").first.inner_text()
    press(page, "1")
    page.get_by_text("Agreement", exact=True).click()
    page.wait_for_selector("text=One by one")


def test_without_the_token_nothing_is_shown(start, opened, browser, tmp_path):
    server = start(write_samples(tmp_path / "s.jsonl"))
    opened().goto(server.address)
    with browser.new_context() as stranger:
        answer = stranger.request.get(server.address.partition("?")[0])
        assert answer.status == 401 and "running_max" not in answer.text()


@pytest.mark.parametrize("width", [1280, 700, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_the_screen_and_can_be_read(start, opened, tmp_path, scheme, width):
    rows = [sample(0, number, f"x = {number}\n{'y' * 300} = 1\n", 1) for number in range(2)]
    folder = os.environ.get("VERIGRAD_SCREENSHOTS")
    page = opened(color_scheme=scheme, viewport={"width": width, "height": 900})
    log_in(page, start(write_samples(tmp_path / "s.jsonl", sample_rows(4) + rows)))
    for name, go in (("compare", lambda: press(page, "1")), ("agreement", lambda: page.click("text=Agreement"))):
        go()
        page.wait_for_load_state()
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0
        if folder:
            page.screenshot(path=Path(folder) / f"{name}-{scheme}-{width}.png")
    page.keyboard.press("Escape")
    page.wait_for_selector(".sides")
    page.wait_for_load_state()  # the style, too
    dark = json.loads(page.evaluate("JSON.stringify(matchMedia('(prefers-color-scheme: dark)').matches)"))
    assert dark == (scheme == "dark")
    for css in ("kw", "st", "nu", "cm", "fn", "bi"):
        assert contrast(page, css) >= 4.5, css


def contrast(page, css):
    """WCAG 2's contrast of a kind of token with the marked background, the weaker of the two it may stand on."""
    script = """css => {
      const line = document.createElement('span'); line.className = 'ln differs';
      const token = document.createElement('span'); token.className = css; line.append(token);
      document.querySelector('pre.code code').append(line);
      const colours = [getComputedStyle(token).color, getComputedStyle(line).backgroundColor];
      line.remove();
      return colours.map(colour => colour.match(/\\d+/g).slice(0, 3).map(Number)); }"""
    ink, paper = map(luminance, page.evaluate(script, css))
    return (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05)


def luminance(parts):
    """Relative luminance of red, green and blue, as WCAG 2 defines it."""
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in (p / 255 for p in parts))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
