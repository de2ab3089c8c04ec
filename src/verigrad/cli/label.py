"""`verigrad label`: preferences from people, from a model, or simulated; and what becomes of them."""

from __future__ import annotations

import argparse
import asyncio
import tomllib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verigrad.cli.options import SAME_COMMAND, Work, going_on
from verigrad.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from verigrad.ui.items import Item, Margins
    from verigrad.ui.judge import Annotator
    from verigrad.ui.store import Store

__all__ = ["label"]

_EPILOG = """\
verigrad label SAMPLES --folder labels                a page for people, on this machine
verigrad label SAMPLES --folder labels --judge ...    a program judges instead
verigrad label agreement labels                       how far the annotators agree
verigrad label export labels --out pairs.jsonl        preference pairs for training
"""


def label(argv: list[str]) -> Work:
    """Compare two programs for one prompt, by hand on a local page or by a model."""
    if argv[:1] == ["export"]:
        return _export(argv[1:])
    if argv[:1] == ["agreement"]:
        return _agreement(argv[1:])
    options = _parser().parse_args(argv)
    _check_judge_options(options)
    return partial(_label, options)


def _label(options: argparse.Namespace) -> int:
    from verigrad.ui.folder import open_store

    store = open_store(
        options.folder,
        options.samples,
        seed=options.seed,
        order=options.order,
        overlap=options.overlap,
        pairs_per_task=options.pairs_per_task,
        margins=_margins(options.margins),
    )
    try:
        return _judge(store, options) if options.judge else _serve(store, options)
    finally:
        store.close()


def _margins(name: str) -> Margins:
    """By name, by a function's place, or by the folder of a reward model."""
    from verigrad.registry import resolve
    from verigrad.ui.items import score_margins

    if Path(name).is_dir():
        return partial(_reward_model_margins, name)
    margins: Margins = resolve(name, {"score": score_margins}, what="margins")
    return margins


def _reward_model_margins(folder: str, items: Sequence[Item]) -> list[float | None]:
    """|score of a - score of b| under a reward model: smallest where it is least sure. It is asked under the system
    message that its run trained it with."""
    from verigrad.training.answer_scores import answer_scores

    settings = Path(folder).resolve().parent / "config.toml"
    system = tomllib.loads(settings.read_text(encoding="utf-8")).get("system") if settings.is_file() else None
    answers = list(dict.fromkeys((item.prompt, side.completion) for item in items for side in (item.a, item.b)))
    scores = dict(zip(answers, answer_scores(folder, answers, system=system), strict=True))
    pairs = [(scores[item.prompt, item.a.completion], scores[item.prompt, item.b.completion]) for item in items]
    return [None if one is None or other is None else abs(one - other) for one, other in pairs]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="verigrad label",
        description=label.__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "samples",
        nargs="?",
        type=Path,
        help="JSONL of samples as `verigrad eval --samples` writes, or of pairs or rankings; may be left out where the "
        "folder has items already",
    )
    parser.add_argument("--folder", required=True, type=Path, help="where everything is kept; continues what is there")
    parser.add_argument("--port", type=int, default=0, help="of the page, on 127.0.0.1; 0 takes a free one")
    asked = parser.add_argument_group("what is asked (a folder keeps these; new ones replace them)")
    asked.add_argument("--order", choices=("active", "random", "file"), help="active (default): smallest margin first")
    asked.add_argument("--overlap", type=float, help="share of the items that two people judge (default 0.2)")
    asked.add_argument("--seed", type=int, help="of lots: sides, order, items judged twice (default 0)")
    asked.add_argument("--pairs-per-task", type=int, help="comparisons of each task at most (default 4); 0 for all")
    asked.add_argument(
        "--margins",
        default="score",
        help="for active: score, a reward model's folder (runs/rm/model), or FILE.py:FUNCTION from items to margins",
    )
    judge = parser.add_argument_group("annotators that are programs")
    judge.add_argument("--judge", choices=("openai", "simulated"), help="who judges instead of a person")
    judge.add_argument("--base-url", default="", help="of an OpenAI-compatible endpoint; its key in $OPENAI_API_KEY")
    judge.add_argument("--model", default="", help="as the endpoint names it; also the annotator's name")
    judge.add_argument("--criteria", default="", help="what makes an answer better (default: correct, clear, fast)")
    judge.add_argument("--temperature", type=float, default=0.0)
    judge.add_argument("--max-tokens", type=int, default=1024, help="of a reply")
    judge.add_argument("--concurrency", type=int, default=4, help="requests in flight at most")
    judge.add_argument("--timeout", type=float, default=120.0, help="seconds for one reply, all tries together")
    judge.add_argument("--noise", type=float, default=0.0, help="probability that a simulated preference is flipped")
    judge.add_argument("--name", default="", help="of a simulated annotator: simulated-NAME")
    judge.add_argument("--limit", type=int, default=0, help="judge only the first items in order; 0 for all")
    return parser


def _check_judge_options(options: argparse.Namespace) -> None:
    if options.judge == "openai" and not (options.base_url and options.model):
        raise ConfigError("--judge openai needs --base-url, such as http://localhost:8000/v1, and --model")
    if options.concurrency < 1:
        raise ConfigError(f"--concurrency is {options.concurrency}, wanted at least 1")


def _serve(store: Store, options: argparse.Namespace) -> int:
    try:
        from verigrad.ui.app import serve
    except ImportError as error:
        raise MissingExtra((error.name or "starlette").partition(".")[0], "label") from error

    def ready(address: str) -> None:
        print(f"{len(store.items)} comparisons in {store.folder}; stop with Ctrl-C, nothing is lost")
        print(f"open {address}", flush=True)

    serve(store, port=options.port, on_ready=ready)
    people = [name for name, kind in store.annotators.items() if kind == "person"]
    judged = sum(len(store.choices(item)) for item in store.items)
    print(f"\n{judged} judgements and {len(store.demonstrations())} demonstrations, of {len(people)} people")
    print(f"wrote {store.folder}")
    return 0


def _judge(store: Store, options: argparse.Namespace) -> int:
    from verigrad.ui.judge import orders_disagree

    with going_on(SAME_COMMAND):
        counts = asyncio.run(_annotate(store, options))
    print("  ".join(f"{what} {count}" for what, count in sorted(counts.items())) or "nothing was left to judge")
    if options.judge == "openai":
        disagreed, asked = orders_disagree(store, options.model)
        share = f" ({disagreed / asked:.0%})" if asked else ""
        print(f"the two orders disagree on {disagreed} of {asked} items{share}")
    print(f"wrote {store.folder}")
    if counts.get("failed"):
        print(f"{counts['failed']} items failed and are still open; the same command tries them again")
        return 1
    return 0


async def _annotate(store: Store, options: argparse.Namespace) -> dict[str, int]:
    from verigrad.cli.progress import counting
    from verigrad.ui.judge import annotate

    annotator, engine = _annotator(options, store.settings.seed)
    items = list(store.items.values())[: options.limit or None]
    todo = sum(annotator.name not in store.choices(item.id) for item in items)
    try:
        with counting(f"{annotator.name} judges", todo) as advance:
            return await annotate(store, annotator, items=items, concurrency=options.concurrency, on_item=advance)
    finally:
        if engine is not None:
            await engine.close()


def _annotator(options: argparse.Namespace, seed: int) -> tuple[Annotator, Any]:
    """The program that judges, and the engine to be closed after it."""
    from verigrad.ui.judge import EndpointJudge, Simulated

    if options.judge == "simulated":
        name = f"simulated-{options.name}" if options.name else "simulated"
        return Simulated(noise=options.noise, seed=seed, name=name), None
    from verigrad.training.config import JudgeConfig
    from verigrad.training.round_judge import judge_engine, make_judge

    config = JudgeConfig(
        url=options.base_url,
        model=options.model,
        criteria=options.criteria,
        temperature=options.temperature,
        max_tokens=options.max_tokens,
        concurrency=options.concurrency,
        timeout_s=options.timeout,
    )
    engine = judge_engine(config)
    return make_judge(EndpointJudge, engine, config, seed=seed), engine


def _export(argv: list[str]) -> Work:
    parser = argparse.ArgumentParser(prog="verigrad label export", description="Write judgements as preference pairs.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", required=True, type=Path, help="JSONL of pairs, as preference training reads them")
    parser.add_argument("--ties", default="drop", choices=("drop", "score"), help="score: the higher score wins a tie")
    parser.add_argument(
        "--disagreements",
        default="majority",
        choices=("majority", "plurality", "unanimous"),
        help="how a side wins: more than half of the votes, more than the other side (ties not counted), or all",
    )
    parser.add_argument(
        "--margin",
        default="none",
        choices=("none", "agreement", "score"),
        help="of each pair: none, the share of votes for the chosen answer, or the difference of the scores",
    )
    parser.add_argument("--annotators", nargs="+", default=[], metavar="NAME", help="whose votes count (default: all)")
    parser.add_argument("--min-annotators", type=int, default=1, help="leave out items with fewer votes")
    return partial(_write_export, parser.parse_args(argv))


def _write_export(options: argparse.Namespace) -> int:
    from verigrad.preferences.records import write_records
    from verigrad.ui.export import export_pairs
    from verigrad.ui.folder import read_store

    found = export_pairs(
        read_store(options.folder),
        ties=options.ties,
        disagreements=options.disagreements,
        margin=options.margin,
        annotators=options.annotators,
        min_annotators=options.min_annotators,
    )
    if not found.pairs:
        raise ConfigError(f"no item of {options.folder} gives a pair; left out: {dict(found.left_out) or 'nothing'}")
    write_records(options.out, found.pairs)
    rest = ", ".join(f"{reason} {count}" for reason, count in found.left_out.items())
    print(f"{len(found.pairs)} pairs{'; left out: ' + rest if rest else ''}")
    print(f"wrote {options.out}")
    return 0


def _agreement(argv: list[str]) -> Work:
    parser = argparse.ArgumentParser(prog="verigrad label agreement", description="How far the annotators agree.")
    parser.add_argument("folder", type=Path)
    return partial(_print_agreement, parser.parse_args(argv).folder)


def _print_agreement(folder: Path) -> int:
    from verigrad.ui.agreement import krippendorff_alpha, pair_agreements
    from verigrad.ui.folder import read_store

    store = read_store(folder)
    ratings = store.ratings()
    units = [tuple(given.values()) for given in ratings.values()]
    several = sum(len(unit) > 1 for unit in units)
    print(f"{sum(map(bool, units))} items judged, {several} of them by two or more annotators")
    print(f"Krippendorff's alpha {_number(krippendorff_alpha(units))}")
    for pair in pair_agreements(ratings, list(store.annotators)):
        print(
            f"{pair.first} and {pair.second}: {pair.items} items, raw agreement {pair.raw:.1%}, "
            f"kappa {_number(pair.kappa)}"
        )
    return 0


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
