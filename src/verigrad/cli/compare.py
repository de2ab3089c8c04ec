"""`verigrad compare --diffusion A --causal B`: two kinds of model side by side, on one page."""

from __future__ import annotations

from functools import partial

from verigrad.cli.options import SAME_COMMAND, Work, going_on, option_line, option_lines, printing
from verigrad.cli.train import recipe_path
from verigrad.evaluation.twins.config import PARTS, CompareConfig
from verigrad.settings import load_config, to_toml

__all__ = ["compare"]


def compare(argv: list[str]) -> Work:
    """Measure what is not measured yet, then write rows, summary and page."""
    if "-h" in argv or "--help" in argv:
        lines = ["usage: verigrad compare [RECIPE] --diffusion A,B --causal C,D [--key value ...] [--dry-run]", ""]
        lines += [(CompareConfig.__doc__ or "").splitlines()[0], f"Parts: {', '.join(PARTS)}.", ""]
        lines += ["The same command again goes on where it stopped: a finished part is read from the folder.", ""]
        lines += [option_line("--dry-run", "print the settings and what there is to do, and stop")]
        lines += option_lines(CompareConfig)
        return printing("\n".join(lines))
    words = [word for word in argv if word != "--dry-run"]
    recipe = recipe_path(words.pop(0)) if words and not words[0].startswith("--") else None
    config = load_config(CompareConfig, recipe, words)
    return partial(_compare, config, dry_run="--dry-run" in argv)


def _compare(config: CompareConfig, *, dry_run: bool) -> int:
    from verigrad.evaluation.twins.loop import compare as run
    from verigrad.evaluation.twins.loop import planned

    if dry_run:
        print(to_toml(config))
        for work, answers, done in planned(config):
            print(f"{work.part:<12}{work.role:<11}{work.model}: {answers} answers{', done' if done else ''}")
        return 0
    from verigrad.cli.progress import TerminalReporter

    reporter = TerminalReporter()
    try:
        with going_on(SAME_COMMAND):
            page = run(config, reporter)
    finally:
        reporter.close()
    print(f"wrote {page}, figures in {page.parent / 'summary.json'}, rows in {page.parent / 'rows'}")
    return 0
