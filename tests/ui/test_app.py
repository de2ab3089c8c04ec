"""The pages over HTTP: who may ask, what is recorded, and that no text of a program becomes markup."""

import asyncio
import json
import re

import pytest
from ui.made_up import EVIL, FIRST, sample, sample_rows, write_samples

from verigrad import append_log as log_module
from verigrad.training.sft import read_demonstrations
from verigrad.ui.folder import open_store

pytest.importorskip("starlette")
httpx = pytest.importorskip("httpx")

TOKEN, PORT = "right-token", 8123
HOME = f"http://127.0.0.1:{PORT}"
COOKIE = f"verigrad_label_{PORT}"


class Browser:
    """Requests to the application as a browser on its own page makes them; cookies as the page sets them."""

    def __init__(self, store):
        from verigrad.ui.app import make_app

        self.app = make_app(store, token=TOKEN, port=PORT)
        self.cookies = {}

    def send(self, method, path, headers=None, **rest):
        async def once():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url=HOME, cookies=self.cookies) as client:
                return await client.request(method, path, headers=headers, **rest)

        answer = asyncio.run(once())
        self.cookies.update(answer.cookies)
        return answer

    def get(self, path, **headers):
        return self.send("GET", path, headers)

    def post(self, action, **fields):
        return self.send("POST", f"/api/{action}", {"Origin": HOME}, json={"annotator": "Ann", **fields})

    def login(self):
        assert self.get(f"/?token={TOKEN}").status_code == 200
        return self

    def item(self, name="Ann"):
        return item_in(self.get(f"/compare?annotator={name}").text)


def item_in(html):
    return re.search(r'data-item="(\w*)"', html)[1]


@pytest.fixture
def labels(tmp_path):
    """`labels(rows=...)`: a logged-in browser on a new folder."""
    stores = []

    def build(rows=None, **settings):
        file = write_samples(tmp_path / "samples.jsonl", rows)
        stores.append(open_store(tmp_path / "labels", file, **{"overlap": 0.0, **settings}))
        browser = Browser(stores[-1]).login()
        browser.store = stores[-1]
        return browser

    yield build
    for store in stores:
        store.close()


@pytest.fixture
def log(tmp_path):
    return lambda: [json.loads(line) for line in (tmp_path / "labels" / "annotations.jsonl").read_text().splitlines()]


# ---------------------------------------------------------------------------------------------- guard

PATHS = ["/", "/compare?annotator=Ann", "/agreement", "/label.css", "/label.js", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
def test_every_request_needs_the_token(labels, path):
    browser = labels()
    browser.cookies.clear()
    for wrong in ({}, {COOKIE: "wrong"}, {COOKIE: ""}, {"verigrad_label_1": TOKEN}, {COOKIE: TOKEN + "x"}):
        browser.cookies = dict(wrong)
        assert browser.get(path).status_code == 401
    assert browser.get(path + ("&" if "?" in path else "?") + "token=no").status_code == 401
    browser.cookies = {COOKIE: TOKEN}
    assert browser.get(path).status_code == (404 if path == "/nowhere" else 200)


def test_actions_need_the_token(labels, log):
    browser = labels()
    item = browser.item()
    browser.cookies.clear()
    assert browser.post("choose", item=item, choice="left").status_code == 401
    assert log() == []


def test_the_cookie_is_for_this_server_alone(labels):
    browser = labels()
    answer = browser.get(f"/?token={TOKEN}")
    assert answer.headers["set-cookie"] == f"{COOKIE}={TOKEN}; Path=/; HttpOnly; SameSite=Strict"
    browser.cookies.clear()
    assert "set-cookie" not in browser.get("/?token=wrong").headers


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", f"[::1]:{PORT}"])
def test_other_hosts_are_refused_whatever_they_carry(labels, host):
    browser = labels()
    assert browser.get(f"/?token={TOKEN}", Host=host).status_code == 403
    assert browser.get("/", Host=f"localhost:{PORT}").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},  # another port is the same site, so the cookie comes along
        {"Origin": "null"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
def test_other_pages_cannot_act(labels, log, headers):
    browser = labels()
    body = json.dumps({"annotator": "Ann", "item": browser.item(), "choice": "left"})
    sent = {"Content-Type": "application/json", "Origin": HOME, **headers}
    assert browser.send("POST", "/api/choose", sent, content=body).status_code == 403
    assert log() == []
    assert browser.send("GET", "/api/choose").status_code == 405


@pytest.mark.parametrize("path", PATHS)
def test_headers_forbid_what_is_not_needed(labels, path):
    headers = labels().get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; ") and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy
    assert headers["cache-control"] == "no-store" and headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"


# ----------------------------------------------------------------------------------------------- text


def test_programs_prompts_and_names_are_shown_as_text(labels):
    rows = [sample(0, number, program, 1) for number, program in enumerate([f"x = '''{EVIL}'''\n", "x = 2\n"])]
    for row in rows:
        row.update(task_id=f"t{EVIL}", prompt=f"p{EVIL}", completion=f"c{EVIL}{row['sample']}")
        row["results"][2].update(name=f"n{EVIL}", detail=f"d{EVIL}", status=f'failed"{EVIL}')
    browser = labels(rows)
    name = "A<script>b</script>"
    pages = [browser.send("GET", "/compare", params={"annotator": name}).text]
    item = item_in(pages[0])
    said = browser.post("tests", annotator=name, item=item).json()["html"]
    assert "failed" in said
    browser.post("choose", annotator=name, item=item, choice="left")
    pages += [said, browser.get("/").text, browser.send("GET", "/agreement", params={"annotator": name}).text]
    for page in pages:
        # Our own script is loaded by address: whatever else begins a tag of these kinds came from the samples.
        assert re.findall(r"<script(?! src=\"/label.js\" defer></script>)", page) == []
        assert "<img" not in page and "onerror=alert(1)>" not in page
        assert "\u202e" not in re.sub(r"<textarea.*?</textarea>", "", page, flags=re.DOTALL)
    assert "&lt;script&gt;" in pages[0] and '<i class="odd">U+202E</i>' in pages[0]


def test_half_a_surrogate_pair_is_shown_by_its_number(labels):
    rows = [sample(0, number, f"x = '\ud83d{number}'\n", 1) for number in range(2)]
    assert '<i class="odd">U+D83D</i>' in labels(rows).get("/compare?annotator=Ann").text


@pytest.mark.parametrize("odd", ["\u061c", "\xad", "\u2028", "\u3164", "\U000e0041"])
def test_what_cannot_be_seen_is_shown_by_its_number(labels, odd):
    """A mark that turns the direction of text, a soft hyphen, a line separator, a blank letter, an invisible tag."""
    rows = [sample(0, number, f"x = '{odd}{number}'\n", 1) for number in range(2)]
    assert f'<i class="odd">U+{ord(odd):04X}</i>' in labels(rows).get("/compare?annotator=Ann").text


def test_an_item_with_no_program_is_text(labels):
    rows = [{**sample(0, number, "", 0), "program": None, "completion": f"I think {number}"} for number in range(2)]
    browser = labels(rows)
    assert 'class="code prose"' in browser.get("/compare?annotator=Ann").text
    browser.post("demonstration", item=browser.item(), program="I know", source="new")
    assert browser.store.demonstrations()[0].completion == "I know"


# -------------------------------------------------------------------------------------------- actions


@pytest.mark.parametrize("choice", ["left", "right", "tie", "skip"])
def test_a_choice_is_recorded_before_the_next_item_comes(labels, log, choice):
    browser = labels()
    item = browser.item()
    answer = browser.post("choose", item=item, choice=choice)
    assert item_in(answer.json()["html"]) not in ("", item)
    (row,) = log()
    left = browser.store.left_of(item, "Ann")
    right = "b" if left == "a" else "a"
    assert row["preferred"] == {"left": left, "right": right}.get(choice, choice)
    assert (row["item"], row["annotator"], row["left"], row["tests_shown"]) == (item, "Ann", left, False)


def test_the_left_program_is_on_the_left(labels):
    browser = labels()
    for _ in range(6):
        page = browser.get("/compare?annotator=Ann").text
        item = browser.store.items[item_in(page)]
        left = {"a": item.a, "b": item.b}[browser.store.left_of(item.id, "Ann")]
        shown = page[page.index('aria-label="left"') : page.index('aria-label="right"')]
        assert ("wrong for negative values" in shown) == ("wrong for negative values" in left.program)
        browser.post("choose", item=item.id, choice="left")


def test_neither_scores_nor_verdicts_are_on_the_page_until_asked_for(labels, log):
    browser = labels()
    page = browser.get("/compare?annotator=Ann").text
    assert "passed" not in page and "failed" not in page and "test_0" not in page
    item = browser.item()
    assert "5 of 5 tests passed" in browser.post("tests", item=item).json()["html"]
    browser.post("tests", item=item)  # a second look is no second event
    browser.post("choose", item=item, choice="tie")
    looked, chosen = log()
    assert looked["event"] == "tests" and chosen["tests_shown"] is True
    browser.post("undo", item=browser.item())
    assert "5 of 5 tests passed" in browser.get("/compare?annotator=Ann").text  # it cannot be unseen


def test_undo_goes_back_step_by_step_and_only_adds(labels, log, tmp_path):
    browser = labels()
    seen = []
    for choice in ("left", "right", "skip"):
        seen.append(browser.item())
        browser.post("choose", item=seen[-1], choice=choice)
    before = (tmp_path / "labels" / "annotations.jsonl").read_bytes()
    says = []
    for item in reversed(seen):
        answer = browser.post("undo", item=browser.item()).json()
        assert item_in(answer["html"]) == item
        says.append(answer["notice"])
    assert says == ["Taken back: skip", "Taken back: right is better", "Taken back: left is better"]
    assert (tmp_path / "labels" / "annotations.jsonl").read_bytes().startswith(before)
    answer = browser.post("undo", item=browser.item())
    assert answer.status_code == 409 and answer.json()["notice"] == "there is nothing to take back"
    assert [row["event"] for row in log()] == ["choice"] * 3 + ["retraction"] * 3


def test_an_undo_asked_for_twice_is_one(labels, log):
    """The answer to the first was lost, or two tabs were open: what stands before it stays."""
    browser = labels()
    items = []
    for choice in ("left", "right"):
        items.append(browser.item())
        browser.post("choose", item=items[-1], choice=choice)
    shown = browser.item()
    assert browser.post("undo", item=shown).status_code == 200
    again = browser.post("undo", item=shown)
    assert again.status_code == 409 and item_in(again.json()["html"]) == items[1]
    assert [row["event"] for row in log()] == ["choice", "choice", "retraction"]
    while item := browser.item():
        browser.post("choose", item=item, choice="tie")
    assert browser.post("undo", item="").status_code == 200  # at the end nothing is on the screen


def test_what_was_not_saved_does_not_move_on(labels, monkeypatch):
    browser = labels()
    item = browser.item()

    def fail(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(log_module.os, "fsync", fail)
    answer = browser.post("choose", item=item, choice="left")
    monkeypatch.undo()
    assert answer.status_code == 500 and "nothing was recorded" in answer.json()["notice"]
    assert browser.item() == item


def test_the_same_key_twice_is_one_judgement(labels, log):
    browser = labels()
    item = browser.item()
    browser.post("choose", item=item, choice="left")
    again = browser.post("choose", item=item, choice="left")
    assert again.status_code == 409 and "out of date" in again.json()["notice"]
    assert item_in(again.json()["html"]) == browser.item() != item
    assert len(log()) == 1


@pytest.mark.parametrize(
    ("action", "fields", "status", "says"),
    [
        ("choose", {"choice": "best"}, 400, "wanted one of left, right, tie, skip"),
        ("choose", {"choice": ["left"]}, 400, "wanted one of"),
        ("choose", {"choice": "left", "annotator": " "}, 400, "a name has 1 to 60"),
        ("choose", {"choice": "left", "annotator": 3}, 400, "a name has 1 to 60"),
        ("choose", {"choice": "left", "annotator": "a\u202eb"}, 400, "can be seen"),
        ("choose", {"choice": "left", "annotator": "simulated"}, 400, "name of a program"),
        ("choose", {"choice": "left", "item": "nowhere"}, 409, "out of date"),
        ("demonstration", {"program": "  ", "source": "new"}, 400, "empty"),
        ("demonstration", {"program": 1, "source": "new"}, 400, "wanted a program"),
        ("demonstration", {"program": "x", "source": "up"}, 400, "wanted a program"),
        ("demonstration", {"program": "x" * 1_100_000, "source": "new"}, 413, "more than"),
    ],
)
def test_what_makes_no_sense_is_refused(labels, log, action, fields, status, says):
    browser = labels()
    item = browser.item()
    browser.store.choose(item, "simulated", "a", kind="simulated")
    answer = browser.post(action, **{"item": item, **fields})
    assert (answer.status_code, len(log())) == (status, 1)
    assert says in answer.json()["notice"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"left"', b"[" * 100_000])
def test_bodies_that_are_no_objects(labels, body):
    headers = {"Content-Type": "application/json", "Origin": HOME}
    assert labels().send("POST", "/api/choose", headers, content=body).status_code == 400


def test_a_corrected_program_becomes_a_demonstration(labels, tmp_path):
    browser = labels()
    item = browser.item()
    answer = browser.post("demonstration", item=item, program="def f():\r\n    return 1\r\n", source="right")
    assert item_in(answer.json()["html"]) == item and "1 demonstration saved" in answer.json()["html"]
    (found,) = read_demonstrations(tmp_path / "labels" / "demonstrations.jsonl")
    assert found.messages == browser.store.items[item].prompt
    assert found.answer == "```python\ndef f():\n    return 1\n```"
    assert browser.store.demonstrations()[0].source != browser.store.left_of(item, "Ann")
    assert browser.post("undo", item=item).json()["notice"] == "Taken back: the demonstration"
    assert browser.store.demonstrations() == []


def test_several_people_get_different_items_and_the_end_is_said(labels):
    browser = labels(sample_rows(2))
    ann, bob = browser.item("Ann"), browser.item("Bob")
    assert ann != bob
    browser.post("choose", item=ann, choice="tie")
    answer = browser.post("choose", annotator="Bob", item=bob, choice="tie")
    assert "Nothing is left for you" in answer.json()["html"] and item_in(answer.json()["html"]) == ""
    assert browser.post("choose", item="", choice="tie").status_code == 409


def test_a_bad_name_comes_back_to_the_form(labels):
    answer = labels().get("/compare?annotator=")
    assert answer.status_code == 400 and "a name has 1 to 60" in answer.text and "<form" in answer.text


def test_the_agreement_page_shows_the_figures_of_the_functions(labels):
    """Three items by both: a-a, b-b, tie-a. p_o = 2/3, chance a 1*2 + b 1*1 = 3 of 9, kappa = (6 - 3) / (9 - 3).

    Alpha: n_a = 3, n_b = 2, n_tie = 1, n = 6; disagreeing 2; expected 36 - 14 = 22; 1 - 5 * 2 / 22 = 0.55.
    """
    browser = labels(overlap=1.0)
    items = list(browser.store.items)[:3]
    for item, one, other in zip(items, ("a", "b", "tie"), ("a", "b", "a"), strict=True):
        browser.store.choose(item, "Ann", one, left="a")
        browser.store.choose(item, "Bob", other, left="b")
    page = browser.get("/agreement?annotator=Ann").text
    assert '<p class="big">0.55</p>' in page
    assert "<td>Ann and Bob</td><td>3</td><td>66.7 %</td><td>0.50</td>" in page
    assert "2 of 3 unanimous" in page and "1 of 6 judgements are ties" in page
    assert "<td>33.3 %</td><td>1 of 2</td>" in page and 'href="/compare?annotator=Ann"' in page


def test_a_program_that_starts_with_an_empty_line_is_edited_as_it_is(labels):
    rows = [sample(0, 0, "\n\n" + FIRST, 1), sample(0, 1, "y = 2\n", 1)]
    page = labels(rows).get("/compare?annotator=Ann").text
    drafts = re.findall(r"<textarea hidden[^>]*>\n(.*?)</textarea>", page, flags=re.DOTALL)
    assert any(draft.startswith("\n\ndef running_max") for draft in drafts)
