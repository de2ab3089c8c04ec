"""Made-up run folders with known figures, hostile text among their completions."""

import json

HOSTILE = '</pre><script>alert("x")</script><img src=http://evil.example/a.png onerror=alert(1)>'


def sample(task, index, status, **fields):
    return {
        "task_id": f"builtin@1/unseen_instances/absolute_difference/{task}",
        "sample": index,
        "prompt": f"Solve {task}",
        "completion": "text",
        "program": None if status == "no_code" else "def f():\n    return 1 < 2",
        "status": status,
        "passed": 2 if status == "passed" else 0,
        "total": 2,
        "results": [{"name": "t0", "status": "passed" if status == "passed" else "failed", "detail": "got <1>"}],
        "difficulty": "easy" if task < "b" else "hard",
        "topic": "strings",
        "tokens": 9,
        "stop_reason": "stop",
        **fields,
    }


def lines(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


# Before: 3 of 8 samples pass and 5 parse. After: 6 of 8 pass and 7 parse.
BEFORE = {"a1": "passed no_code", "a2": "failed passed", "b1": "syntax_error no_code", "b2": "timeout passed"}
AFTER = {"a1": "passed passed", "a2": "passed passed", "b1": "failed no_code", "b2": "passed passed"}


def make_run(folder):
    folder.mkdir()
    (folder / "config.toml").write_text('algorithm = "<mine>"\nmodel = "other"\n')
    train = [
        {"step": s, "kind": "train", "reward": 0.1 * s, "pass_rate": 0.25, "no_code": 0.15, "syntax_error": 0.15}
        | {"entropy": 0.5, "completion_tokens": 60 + s, "grad_norm": 0.125, "tokens_per_second": 321.0}
        for s in range(5)
    ]
    validation = [{"step": s, "kind": "validation", "pass@1": 0.375, "low": 0.25, "high": 0.5} for s in (0, 4)]
    lines(folder / "metrics.jsonl", [*train, *validation])
    for side, statuses in (("before", BEFORE), ("after", AFTER)):
        rows = [
            sample(task, i, status, **({"completion": HOSTILE} if status == "no_code" else {}))
            for task, words in statuses.items()
            for i, status in enumerate(words.split())
        ]
        lines(folder / "evaluations" / f"held-out-{side}.jsonl", rows)
    summary = {"seconds": 75.0, "tokens": 1234, "peak_memory_mb": 512.0, "setup": {"seed": 3, "model": "tiny"}}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


# Prompt, then chosen and rejected: name, score, tokens, share of tests passed. The annotator erred about h and i.
PAIRS = [
    ("p1", ("a", 2.0, 10, 1.0), ("b", 1.0, 20, 0.5)),
    ("p1", ("a", 2.0, 10, 1.0), ("c", 2.5, 30, 0.0)),
    ("p2", ("d", 0.0, 12, 1.0), ("e", -3.0, 16, 0.0)),
    ("p3", ("f", -1.0, 40, 1.0), ("g", 1.0, 10, 0.25)),
    ("p4", ("h", 1.5, 25, 0.5), ("i", 0.5, 15, 1.0)),
]


def pair_row(number, prompt, /, *sides, **fields):
    names, scores, tokens, fractions = (list(column) for column in zip(*sides, strict=True))
    row = {"record": number, "prompt_id": prompt, "answer_ids": names, "scores": scores, "tokens": tokens}
    return row | {"task_id": f"made-up@1/{prompt}", "fractions": fractions, "margin": None, **fields}


def make_reward_model_run(folder):
    folder.mkdir()
    (folder / "config.toml").write_text('model = "tiny"\nobjective = "bradley_terry"\nheld_out_share = 0.1\n')
    train = [
        {"step": s, "kind": "train", "loss": 0.7 - 0.01 * s, "accuracy": 0.5 + 0.01 * s, "grad_norm": 0.125}
        for s in range(1, 26)
    ]
    validation = [{"step": s, "kind": "validation", "pair_accuracy": 0.4 + 0.01 * s, "auc": 0.5} for s in (10, 20)]
    lines(folder / "metrics.jsonl", [*train, *validation])
    texts = {1: ["return 1", "return 2"], 3: ["return 3 < 4", HOSTILE]}
    rows = [
        pair_row(i, *pair, **({"prompt": f"Solve {pair[0]}", "answers": texts[i]} if i in texts else {}))
        for i, pair in enumerate(PAIRS)
    ]
    lines(folder / "held_out.jsonl", rows)
    summary = {"held_out": {"pair_accuracy": 0.6}, "steps": 25, "records": 45, "seconds": 75.0}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def make_proxy_run(folder, gold, *, proxy=None, kl=None):
    """A run against a reward model: pass rates by step from 1 on, scores that rise by 0.1 a step or as given."""
    make_run(folder)
    rows = [
        {"step": s, "kind": "train", "pass_rate": rate, "completion_tokens": 50.0}
        | {"proxy_reward": 0.1 * s if proxy is None else proxy[s - 1]}
        | ({} if kl is None else {"kl": kl[s - 1]})
        for s, rate in enumerate(gold, 1)
    ]
    lines(folder / "metrics.jsonl", rows)
    return folder
