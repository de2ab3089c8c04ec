"""Peak memory of one optimizer step of `verigrad preference` and `verigrad reward-model`, by sequence length.

    python benchmarks/memory.py                     both, beside two plain ways to take the same step of DPO
    python benchmarks/memory.py --docs docs         also writes docs/memory.svg and the table in docs/memory.md
    python benchmarks/memory.py --rows rows.jsonl   keeps each measurement there and takes those that are there already
    python benchmarks/memory.py --json              one object a line

The commands themselves run, on the default model with all weights trained by AdamW, DPO with a reference scored
beforehand. Every pair has a prompt of half the length, and two answers that fill the other half. `plain` runs
transformers' forward over all rows at once and takes `log_softmax` of all their logits; `plain_pairs` does so for a
pair at a time and adds the gradients up.

Each measurement has a process of its own, which takes two steps: the first makes the optimizer's state, the second
counts. `before` is the memory resident between the two, `peak` the most the process ever had, `added` the difference.
The arithmetic beside them is what the logits of all rows of the batch take in float32. A process that needs more than
`--limit-gb` or longer than `--timeout` is stopped, and its side is left out at longer lengths. For Linux, on the CPU.
All of it is meant to take about ten minutes on 2 quiet cores. With `--rows` it can be done in pieces, some lengths or
sides at a time: a run that is stopped goes on where it was, and `--docs` then writes up what the file holds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from verigrad.environment import settle_torch

settle_torch()  # as the command line does; before torch, and for every side alike

# Nothing here may import torch before a side does: a new process's peak starts from the size of its parent.
from verigrad.allocator import give_back_freed_memory
from verigrad.evaluation.reports.charts import COLOURS, Series, line_chart
from verigrad.evaluation.reports.page import STYLE
from verigrad.training.reporter import Silent

__all__ = ["main"]

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
NAMES = {
    "preference": "verigrad preference (DPO)",
    "reward_model": "verigrad reward-model",
    "plain": "DPO, all logits at once",
    "plain_pairs": "DPO, logits of a pair at a time",
}
COMPUTED = "all logits in float32, computed"
MIB = 2**20


class Measured(Exception):
    """The second step is done, and the run need not go on."""


class Meter(Silent):
    """Reads the memory around the second step of a run."""

    def __init__(self) -> None:
        self.steps, self.loaded, self.before, self.peak = 0, 0.0, 0.0, 0.0

    def begin(self, phase: str, total: int) -> None:
        self.loaded = _peak_mib()  # training is the last phase that begins

    def step(self, row: Mapping[str, Any]) -> None:
        self.steps += 1
        if self.steps == 1:
            give_back_freed_memory()  # the commands do after every step; what is left is in use on every side
            self.before = _resident_mib()
            return
        self.peak = _peak_mib()
        raise Measured


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MIB


# -------------------------------------------------------------------------------------------------------- the sides


def preference(args: argparse.Namespace, length: int, folder: Path, meter: Meter) -> None:
    from verigrad.training.config import PreferenceConfig
    from verigrad.training.preference import train

    _write_pairs(args.model, folder / "pairs.jsonl", args.pairs, length)
    train(PreferenceConfig(data=str(folder / "pairs.jsonl"), **_settings(args, length, folder)), reporter=meter)


def reward_model(args: argparse.Namespace, length: int, folder: Path, meter: Meter) -> None:
    from verigrad.training.config import RewardModelConfig
    from verigrad.training.reward_model import train

    _write_pairs(args.model, folder / "pairs.jsonl", args.pairs, length)
    _write_pairs(args.model, folder / "held_out.jsonl", 1, length, first=args.pairs)
    files = {name: str(folder / f"{file}.jsonl") for name, file in (("data", "pairs"), ("held_out", "held_out"))}
    train(RewardModelConfig(**files, **_settings(args, length, folder)), reporter=meter)


def _settings(args: argparse.Namespace, length: int, folder: Path) -> dict[str, Any]:
    """Two epochs of one step; all else as the commands have it."""
    return {
        "run": str(folder / "run"),
        "model": args.model,
        "dtype": args.dtype,
        "device": "cpu",
        "max_length": length + 1,  # a reward model reads the end token twice
        "batch_size": args.pairs,
        "epochs": 2,
    }


def _write_pairs(model: str, file: Path, count: int, length: int, first: int = 0) -> None:
    """Pairs of exactly so many tokens; no two prompts alike, for those would be run once."""
    from transformers import AutoTokenizer

    from verigrad.models.causal import model_source
    from verigrad.models.chat import answer_ids, prompt_ids
    from verigrad.preferences.records import Pair, write_records
    from verigrad.types import Message

    source, local = model_source(model)
    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=local)
    half = length // 2
    room = half - len(prompt_ids(tokenizer, [Message("user", "100")]))
    pairs = []
    for number in range(first, first + count):
        prompt = (Message("user", str(100 + number) + " value" * room),)
        chosen, rejected = (word * (length - half - 1) for word in (" value", " name"))
        pairs.append(Pair(prompt=prompt, chosen=chosen, rejected=rejected))
        sizes = [len(prompt_ids(tokenizer, prompt)), *(len(answer_ids(tokenizer, x)) for x in (chosen, rejected))]
        if room < 0 or sizes != [half, length - half, length - half]:
            raise SystemExit(f"cannot make a pair of {length} tokens for this tokenizer; prompt and answers: {sizes}")
    write_records(file, pairs)


def plain(args: argparse.Namespace, length: int, folder: Path, meter: Meter) -> None:
    _plain_steps(args, length, meter, at_once=args.pairs)


def plain_pairs(args: argparse.Namespace, length: int, folder: Path, meter: Meter) -> None:
    _plain_steps(args, length, meter, at_once=1)


def _plain_steps(args: argparse.Namespace, length: int, meter: Meter, *, at_once: int) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from verigrad.algorithms.preference import dpo
    from verigrad.models.causal import autocast, model_source

    # Without the faster layers that `load_causal` puts in.
    model = AutoModelForCausalLM.from_pretrained(model_source(args.model)[0], dtype=torch.float32).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-6, fused=True)
    ids = torch.randint(model.config.vocab_size, (args.pairs, 2, length), generator=torch.Generator().manual_seed(0))
    half = length // 2
    ids[:, 1, :half] = ids[:, 0, :half]

    def add_gradients(part: torch.Tensor) -> None:
        rows = part.flatten(0, 1)
        with autocast(rows.device, getattr(torch, args.dtype)):
            logits = model(input_ids=rows, use_cache=False).logits
        logprobs = logits.float().log_softmax(-1)[:, :-1].gather(2, rows[:, 1:, None])[..., 0]
        chosen, rejected = logprobs[:, half - 1 :].sum(1).view(-1, 2).unbind(1)
        reference = torch.zeros(len(part))  # its values make no difference to memory
        (dpo(chosen, rejected, reference, reference).sum() / args.pairs).backward()

    meter.begin("training", 2)
    while True:
        for part in ids.split(at_once):
            add_gradients(part)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        meter.step({})


SIDES: dict[str, Callable[[argparse.Namespace, int, Path, Meter], None]] = {
    "preference": preference,
    "reward_model": reward_model,
    "plain": plain,
    "plain_pairs": plain_pairs,
}
OURS = ("preference", "reward_model")


# ------------------------------------------------------------------------------------------------------ measuring


def measure_here(side: str, args: argparse.Namespace) -> None:
    """Take the two steps in this process and print its figures as the last line."""
    # Resident memory cannot be limited; what is allocated can, and of that a training step touches nearly all.
    limit = int(args.limit_gb * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    meter = Meter()
    try:
        with tempfile.TemporaryDirectory() as folder:
            SIDES[side](args, args.lengths[0], Path(folder), meter)
    except Measured:
        pass
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "allocate memory" not in str(error):
            raise
        print(json.dumps({"missing": f"more than {args.limit_gb:g} GB"}))
        return
    if meter.peak <= meter.loaded:
        raise SystemExit("loading the model took more memory than a step, so a step's peak does not show")
    import torch

    print(json.dumps({"before": meter.before, "peak": meter.peak, "threads": torch.get_num_threads()}))


def measure(side: str, length: int, args: argparse.Namespace) -> dict[str, Any]:
    """Figures of one side at one length, from a process of its own; or why there are none."""
    words = [sys.executable, __file__, "--side", side, "--lengths", str(length), "--model", args.model]
    words += ["--pairs", str(args.pairs), "--dtype", args.dtype, "--limit-gb", str(args.limit_gb)]
    found: dict[str, Any] = {"side": side, "length": length, "logits": logits_mib(args.pairs, length, args.vocabulary)}
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=args.timeout)
    except subprocess.TimeoutExpired:
        return {**found, "missing": f"longer than {args.timeout:g} s"}
    if done.returncode != 0:
        raise SystemExit(f"{side} failed at {length} tokens:\n{done.stderr[-3000:]}")
    return {**found, **json.loads(done.stdout.splitlines()[-1])}


def kept_rows(file: Path | None, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measurements of an earlier run with the same settings."""
    if file is None or not file.exists():
        return []
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return [row["row"] for row in rows if row["setting"] == setting_of(args)]


def keep_row(file: Path | None, row: Mapping[str, Any], args: argparse.Namespace) -> None:
    if file is not None:
        with file.open("a") as stream:
            stream.write(json.dumps({"setting": setting_of(args), "row": row}) + "\n")


def setting_of(args: argparse.Namespace) -> dict[str, Any]:
    """What measurements must have in common to stand in one table."""
    names = ("model", "pairs", "dtype", "limit_gb", "timeout")
    return {**{name: getattr(args, name) for name in names}, "torch": version("torch")}


def logits_mib(pairs: int, length: int, vocabulary: int) -> float:
    """What the logits of both rows of every pair take in float32."""
    return pairs * 2 * length * vocabulary * 4 / MIB


def vocabulary_of(model: str) -> int:
    """From the model's config, by a process of its own, for torch would make this one large."""
    code = "import sys; from transformers import AutoConfig; from verigrad.models.causal import model_source\n"
    code += "print(AutoConfig.from_pretrained(model_source(sys.argv[1])[0]).vocab_size)"
    done = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"no config of {model!r}:\n{done.stderr[-3000:]}")
    return int(done.stdout.splitlines()[-1])


# ------------------------------------------------------------------------------------------------------ reporting


def json_lines(rows: Sequence[Mapping[str, Any]], args: argparse.Namespace) -> list[str]:
    """One object a row of one length; `value` is null where it could not be measured."""
    added = {row["side"]: round(row["peak"] - row["before"], 1) for row in rows if "peak" in row}
    lines = []
    for row in rows:
        others = {side: value for side, value in added.items() if side not in OURS}
        compared = row["side"] == "preference" and "peak" in row and others
        line = {
            "name": f"memory.{row['side']}",
            "value": added.get(row["side"]),
            "unit": "MiB",
            "length": row["length"],
            "pairs": args.pairs,
            "dtype": args.dtype,
            **{key: round(row[key], 1) for key in ("before", "peak", "logits", "threads") if key in row},
            **({"missing": row["missing"]} if "missing" in row else {}),
            "against": others if compared else {},
            "ratio": round(added["preference"] / min(others.values()), 3) if compared else None,
        }
        lines.append(json.dumps(line))
    return lines


HEAD = (
    f"| length | step of | before, MiB | peak, MiB | added, MiB | {COMPUTED}, MiB |\n"
    "| ---: | --- | ---: | ---: | ---: | ---: |"
)


def table_row(row: Mapping[str, Any]) -> str:
    if "missing" in row:
        figures = ["", "", row["missing"]]
    else:
        figures = [f"{value:.0f}" for value in (row["before"], row["peak"], row["peak"] - row["before"])]
    cells = [str(row["length"]), NAMES[row["side"]], *figures, f"{row['logits']:.0f}"]
    return f"| {' | '.join(cells)} |"


def plot(rows: Sequence[Mapping[str, Any]], args: argparse.Namespace) -> str:
    """A picture of its own: the chart with its legend, and colours for light and dark pages."""
    series = []
    for name, colour in zip([*NAMES, "computed"], COLOURS, strict=False):
        if name == "computed":
            points = sorted({(float(row["length"]), row["logits"] / 1024) for row in rows})
        else:
            own = [row for row in rows if row["side"] == name and "peak" in row]
            points = [(float(row["length"]), (row["peak"] - row["before"]) / 1024) for row in own]
        if points:
            series.append(Series(NAMES.get(name, COMPUTED), points, colour))
    title = f"GiB added by a step of {args.pairs} pairs"
    chart = line_chart(series, x_label="tokens a sequence", y_label=title)
    top, width = 12 + 15 * len(series), 396
    keys = "".join(
        f'<circle class="dot {line.colour}" cx="16" cy="{13 + 15 * place}" r="4"/>'
        f'<text x="26" y="{17 + 15 * place}">{escape(line.label)}</text>'
        for place, line in enumerate(series)
    )
    colours = "".join(f".curve.{c} {{ stroke: var(--{c}); }} .dot.{c} {{ fill: var(--{c}); }}\n" for c in COLOURS)
    # Read as an image it has no page around it, so it brings background and font along.
    own_style = "svg { font-family: system-ui, sans-serif; } .back { fill: var(--card); }"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top + 220}" role="img" aria-label="{title}">\n'
        f"<style>{STYLE}{colours}{own_style}</style>\n"
        f'<rect class="back" width="{width}" height="{top + 220}" rx="6"/>\n{keys}\n'
        f'<svg y="{top}" width="380" height="220">{chart}</svg>\n</svg>\n'
    )


def write_docs(folder: Path, rows: Sequence[Mapping[str, Any]], args: argparse.Namespace) -> None:
    """The plot, and what the page has between its two marks."""
    page = folder / "memory.md"
    text = page.read_text()
    start, end = text.find(BEGIN), text.find(END)
    if not 0 <= start < end:
        raise SystemExit(f"{page} has no place for the table: wanted {BEGIN!r} and {END!r}")
    number = next((row["threads"] for row in rows if "threads" in row), "?")
    threads = f"{number} thread{'s' * (number != 1)}"
    setting = (
        f"`{args.model}`, {args.pairs} pairs, {args.dtype}, {threads} on {os.cpu_count()} cores, torch "
        f"{version('torch')}, transformers {version('transformers')}; a process had {args.limit_gb:g} GB at most:"
    )
    picture = "![memory added by a step against sequence length](memory.svg)"
    measured = "\n\n".join([BEGIN, setting, picture, "\n".join([HEAD, *map(table_row, rows)]), END])
    (folder / "memory.svg").write_text(plot(rows, args))
    page.write_text(text[:start] + measured + text[end + len(END) :])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--lengths", type=int, nargs="+", default=[128, 256, 512, 1024, 2048], help="prompt and answer")
    parser.add_argument("--pairs", type=int, default=4, help="in the batch of a step")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--own", nargs="*", choices=OURS, default=list(OURS))
    parser.add_argument("--against", nargs="*", choices=["plain", "plain_pairs"], default=["plain", "plain_pairs"])
    parser.add_argument("--limit-gb", type=float, default=10.0, help="memory a process may have")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds a process may take")
    parser.add_argument("--rows", type=Path, help="JSONL of measurements, read and added to")
    parser.add_argument("--docs", type=Path, help="folder with memory.md, to write the plot and the table into")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        measure_here(args.side, args)
        return
    args.vocabulary = vocabulary_of(args.model)
    rows = kept_rows(args.rows, args)
    if not args.json:
        print(HEAD, flush=True)
    for length in sorted(args.lengths):
        for side in (*args.own, *args.against):
            stopped = any(row["side"] == side and "missing" in row and row["length"] < length for row in rows)
            known = any(row["side"] == side and row["length"] == length for row in rows)
            if not stopped and not known:
                rows.append(measure(side, length, args))
                keep_row(args.rows, rows[-1], args)
        found = [row for row in rows if row["length"] == length]
        if found:
            print("\n".join(json_lines(found, args) if args.json else map(table_row, found)), flush=True)
    if args.docs:
        places = list(SIDES)
        write_docs(args.docs, sorted(rows, key=lambda row: (row["length"], places.index(row["side"]))), args)


if __name__ == "__main__":
    main()
