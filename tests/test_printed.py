"""How commands are found in a text, and that wrong ones are told."""

import pytest
from printed import check_commands, commands, header

PAGE = """
verigrad reads this sentence, which is no command, and `verigrad --help` is none either.

    OMP_NUM_THREADS=1 verigrad sft mastery --seed 1   supervised fine-tuning
    verigrad sample --task "humaneval#0" \\
      --seed 3  # one answer

```sh
verigrad check tasks humaneval
```

By `verigrad check tasks`, or `verigrad eval --tasks
humaneval --k 1`, not by `verigrad doctor`.
"""


def test_commands_are_found_in_blocks_and_between_backticks():
    assert commands(PAGE) == [
        ["check", "tasks", "humaneval"],
        ["sft", "mastery", "--seed", "1"],
        ["sample", "--task", "humaneval#0", "--seed", "3"],
        ["eval", "--tasks", "humaneval", "--k", "1"],
    ]
    check_commands(PAGE)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("rl quickstart --learning-rat 1", "unknown setting --learning-rat"),
        ("rl quikstart", "no recipe 'quikstart'"),
        ("evall --tasks humaneval", "unknown command 'evall'"),
        ("eval --tasks humaneval --top-k 3", "2"),  # the exit status of argparse, which has said more
        ("eval --tasks humaneval --num-samples 8", "greedy samples"),
        ("mine a.jsonl --out b.jsonl --set gap=0.3", "no option 'gap'"),
        ("convert a.jsonl b.jsonl --to trll", "unknown format 'trll'"),
        ("sweep quickstart --vary algorithm=grpo --steps many", "steps: got 'many'"),
        ("pipeline rlhf --nois 0.1", "no value 'nois'"),
        ("pipeline rlhf --tokens many", "stage 'sft': --sampling.max-tokens: got 'many'"),
        ("label export labels", "2"),
        ("judge --tasks humaneval --input p.jsonl", "2"),
        ("doctor --all", "2"),
    ],
)
def test_a_command_that_cannot_be_typed_is_told(command, says, capsys):
    with pytest.raises(pytest.fail.Exception, match=says):
        check_commands(f"    verigrad {command}\n")


def test_reading_commands_does_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (
        "    verigrad pipeline rlhf\n    verigrad eval --tasks humaneval --samples out.jsonl\n    verigrad quickstart\n"
        "    verigrad label samples.jsonl --folder labels\n    verigrad sweep quickstart --vary kl_coef=0,0.1\n"
    )
    assert len(commands(text)) == 5
    check_commands(text)
    assert not list(tmp_path.iterdir())


def test_a_header_is_the_comments(tmp_path):
    (tmp_path / "a.toml").write_text("# Then\n#   verigrad rl quickstart \\\n#     --seed 1\n\nx = 1  # not this\n")
    assert commands(header(tmp_path / "a.toml")) == [["rl", "quickstart", "--seed", "1"]]
