"""Progress in a pipe and on a terminal; phases nest."""

import io
import re
from types import SimpleNamespace

import pytest
from rich.console import Console

from verigrad.cli.progress import TerminalReporter, counting

ROW = {"step": 1, "reward": 0.5, "pass_rate": 0.25, "loss": 0.01, "tokens_per_second": 300.0}


def play(reporter):
    reporter.begin("training", 4)
    reporter.step(ROW)
    reporter.advance()
    reporter.begin("evaluating validation", 9)
    reporter.advance(9)
    reporter.end()
    reporter.step({**ROW, "step": 2})
    reporter.advance()
    reporter.end()
    reporter.message("wrote [somewhere]")
    reporter.close()


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""
    now = SimpleNamespace(time=100.0)
    monkeypatch.setattr("verigrad.cli.progress.time", SimpleNamespace(monotonic=lambda: now.time))
    return now


def test_a_pipe_gets_plain_lines(clock):
    out = io.StringIO()
    play(TerminalReporter(Console(file=out, width=200)))
    assert out.getvalue().splitlines() == [
        "step    1/4  reward 0.500  passed 25%  loss 0.0100  tok/s 300  left 0:00",
        "step    2/4  reward 0.500  passed 25%  loss 0.0100  tok/s 300  left 0:00",
        "wrote [somewhere]",
    ]


def test_plain_lines_say_what_is_left(clock):
    """A run resumed after step 60 of 100 took 90 s for a step, then 30 s for one: 60 s each, for 38 more."""
    out = io.StringIO()
    reporter = TerminalReporter(Console(file=out, width=200))
    reporter.begin("training", 100)
    reporter.advance(60)
    for step, seconds in ((61, 90), (62, 30)):
        clock.time += seconds
        reporter.step({"step": step, "loss": 0.5})
        reporter.advance()
    reporter.begin("evaluating validation", 40)
    clock.time += 20
    reporter.advance()  # the first of a batch
    clock.time += 20
    reporter.advance(7)
    assert out.getvalue().splitlines() == [
        "step   61/100  loss 0.5000  left 58:30",
        "step   62/100  loss 0.5000  left 38:00",
        "evaluating validation: 1 of 40",
        "evaluating validation: 8 of 40, left 2:40",
    ]
    reporter.close()


def test_a_terminal_gets_bars_and_is_left_clean():
    out = io.StringIO()
    play(TerminalReporter(Console(file=out, width=160, force_terminal=True, force_interactive=True)))
    shown = out.getvalue()
    assert "training" in shown and "1/4" in shown and "reward 0.500" in shown and "left" in shown
    assert "wrote [somewhere]" in shown
    assert shown.count("\x1b[?25h") == shown.count("\x1b[?25l") > 0  # the cursor is shown again


def test_figures_leave_room_for_the_bar():
    out = io.StringIO()
    reporter = TerminalReporter(Console(file=out, width=60, force_terminal=True, force_interactive=True))
    reporter.begin("training", 4)
    reporter.advance()
    reporter.step({**ROW, "entropy": 0.3, "seconds": 5.3, "completion_tokens": 16})
    lines = [
        line.strip() for line in re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", out.getvalue()).replace("\r", "\n").split("\n")
    ]
    reporter.close()
    assert any(re.match(r"training \S+ 1/4 0:00:0\d left", line) for line in lines)
    assert any(re.match("reward 0.500  passed 25%  loss 0.0100 .*…$", line) for line in lines)


def test_a_round_of_several_counts_its_own_steps(clock):
    """Steps 4 and 5 of the run are the first two of three in the second round; each took a minute."""
    out = io.StringIO()
    reporter = TerminalReporter(Console(file=out, width=200))
    reporter.begin("training, round 2 of 3", 3)
    for step in (4, 5):
        clock.time += 60
        reporter.step({"step": step, "loss": 0.5})
        reporter.advance()
    reporter.end()
    assert out.getvalue().splitlines() == [
        "round 2 of 3, step    1/3  loss 0.5000  left 2:00",
        "round 2 of 3, step    2/3  loss 0.5000  left 1:00",
    ]


@pytest.mark.parametrize("environment", [{"FORCE_COLOR": "1"}, {"FORCE_COLOR": "1", "TERM": "dumb"}])
def test_a_log_gets_no_bars_whatever_colours_it_can_show(environment, monkeypatch, capsys, clock):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    play(TerminalReporter())
    with counting("judging", 2) as advance:
        for _ in range(2):
            clock.time += 20
            advance()
    found = capsys.readouterr()
    assert "\x1b" not in found.out + found.err
    assert len(found.out.splitlines()) == 3 and found.err.splitlines()[-1] == "judging: 2 of 2, left 0:00"


def test_names_and_messages_are_shown_as_they_are():
    out = io.StringIO()
    reporter = TerminalReporter(Console(file=out, width=100, force_terminal=True, force_interactive=True, emoji=False))
    reporter.begin("evaluating [/x]", 2)
    reporter.message("wrote runs/:on: [/y]")
    reporter.end()
    reporter.close()
    assert "evaluating [/x]" in out.getvalue() and "wrote runs/:on: [/y]" in out.getvalue()


@pytest.mark.parametrize("width", [10, 30])
def test_a_narrow_terminal_breaks_nothing(width):
    out = io.StringIO()
    play(TerminalReporter(Console(file=out, width=width, force_terminal=True, force_interactive=True)))
    assert "wrote [somewhere]" in out.getvalue()
