"""Progress in a pipe and on a terminal; phases nest."""

import io
import re

from rich.console import Console

from verigrad.cli.progress import TerminalReporter

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


def test_a_pipe_gets_plain_lines():
    out = io.StringIO()
    play(TerminalReporter(Console(file=out, width=200)))
    assert out.getvalue().splitlines() == [
        "step    1/4  reward 0.500  passed 25%  loss 0.0100  tok/s 300",
        "step    2/4  reward 0.500  passed 25%  loss 0.0100  tok/s 300",
        "wrote [somewhere]",
    ]


def test_a_terminal_gets_bars_and_is_left_clean():
    out = io.StringIO()
    play(TerminalReporter(Console(file=out, width=160, force_terminal=True)))
    shown = out.getvalue()
    assert "training" in shown and "1/4" in shown and "reward 0.500" in shown and "left" in shown
    assert "wrote [somewhere]" in shown
    assert shown.count("\x1b[?25h") == shown.count("\x1b[?25l") > 0  # the cursor is shown again


def test_figures_leave_room_for_the_bar():
    out = io.StringIO()
    reporter = TerminalReporter(Console(file=out, width=60, force_terminal=True))
    reporter.begin("training", 4)
    reporter.advance()
    reporter.step({**ROW, "entropy": 0.3, "seconds": 5.3, "completion_tokens": 16})
    lines = [
        line.strip() for line in re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", out.getvalue()).replace("\r", "\n").split("\n")
    ]
    reporter.close()
    assert any(re.match(r"training \S+ 1/4 0:00:0\d left", line) for line in lines)
    assert any(re.match("reward 0.500  passed 25%  loss 0.0100 .*…$", line) for line in lines)
