"""A file of samples as `verigrad eval --samples` writes them: six tasks, two or three answers each."""

import json

FIRST = """\
def running_max(values):
    \"\"\"The largest value so far, at each place.\"\"\"
    best = None
    found = []
    for value in values:
        if best is None or value > best:
            best = value
        found.append(best)
    return found
"""
SECOND = """\
def running_max(values):
    best = 0  # wrong for negative values
    found = []
    for value in values:
        best = max(best, value)
        found.append(best)
    return found
"""
EVIL = '</code></pre><script>alert("pwned")</script><img src=x onerror=alert(1)> & \u202e'


def result(number, passed):
    detail = "" if passed else f"running_max([-{number}]) gave [0], wanted [-{number}]"
    return {"name": f"test_{number}", "status": "passed" if passed else "failed", "detail": detail}


def sample(task, number, program, passed, total=5):
    return {
        "task_id": f"made-up@1/{task}",
        "sample": number,
        "prompt": f"Task {task}. Write `running_max(values)` that returns the largest value so far, at each place.\n\n"
        ">>> running_max([1, 3, 2])\n[1, 3, 3]",
        "completion": f"Here it is.\n\n```python\n{program}```\nIt takes one pass.",
        "program": program,
        "status": "passed" if passed == total else "failed",
        "reward": float(passed == total),
        "passed": passed,
        "total": total,
        "results": [result(test, test < passed) for test in range(total)],
        "level": "full",
    }


def sample_rows(tasks=6):
    rows = []
    for task in range(tasks):
        rows.append(sample(task, 0, FIRST + f"# {task}\n", 5))
        rows.append(sample(task, 1, SECOND + f"# {task}\n", task % 5))
    return rows


def write_samples(file, rows=None):
    file.write_text("".join(json.dumps(row) + "\n" for row in (sample_rows() if rows is None else rows)))
    return file
