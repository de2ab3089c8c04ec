"""A made-up run folder with known figures, hostile text among its completions."""

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
