"""The run folder survives kills, damage and full disks, and says what is wrong."""

import itertools
import json
import re
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from verigrad.errors import CheckpointError, RunError
from verigrad.models.checkpoint import new_folder
from verigrad.training import run as run_module
from verigrad.training.checkpoints import load_best
from verigrad.training.config import ReportConfig, StageConfig
from verigrad.training.run import Learner, Run, TrainState, load_state, save_state
from verigrad.writing import write_or_tell


def small(inputs=3, outputs=2):
    torch.manual_seed(0)
    model = nn.Linear(inputs, outputs)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.ones(1, inputs)).sum().backward()
    optimizer.step()
    return model, optimizer


def small_learners():
    return {"policy": Learner(*small())}


def test_a_checkpoint_restores_weights_and_optimizer(tmp_path):
    model, optimizer = small()
    save_state(tmp_path / "step-000001", {"policy": Learner(model, optimizer)}, TrainState(1, {"best": 0.5}))
    other, other_optimizer = nn.Linear(3, 2), None
    other_optimizer = torch.optim.AdamW(other.parameters(), lr=0.1)
    assert load_state(tmp_path / "step-000001", {"policy": Learner(other, other_optimizer)}) == TrainState(
        1, {"best": 0.5}
    )
    for pair in ((model, optimizer), (other, other_optimizer)):
        pair[0].zero_grad()
        pair[0](torch.ones(1, 3)).square().sum().backward()
        pair[1].step()
    torch.testing.assert_close(other.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    save_state(tmp_path / "c", small_learners(), TrainState(1, {}))
    other = nn.Linear(4, 2)
    learner = Learner(other, torch.optim.AdamW(other.parameters()))
    with pytest.raises(
        CheckpointError, match=r"another model: 1 .*'weight': got \[2, 3\], wanted \[2, 4\]\. Resume with"
    ):
        load_state(tmp_path / "c", {"policy": learner})
    with pytest.raises(CheckpointError, match=r"no weights of the critic; it has: policy\. .* or start anew .* --run"):
        load_state(tmp_path / "c", {"critic": learner})


def test_a_checkpoint_of_another_optimizer_is_refused(tmp_path):
    """As of another version, which puts the weights into other groups."""
    save_state(tmp_path / "c", small_learners(), TrainState(1, {}))
    model, _ = small()
    groups = [{"params": [model.weight]}, {"params": [model.bias]}]
    with pytest.raises(CheckpointError, match=r"policy.optimizer.pt does not fit .* version of verigrad .* --run"):
        load_state(tmp_path / "c", {"policy": Learner(model, torch.optim.AdamW(groups))})


def test_resume_takes_the_last_good_checkpoint_and_sets_later_rows_aside(tmp_path):
    run = Run.create(tmp_path / "run", "seed = 1\n")
    for step in (1, 2, 3):
        run.log({"step": step, "kind": "train"})
        save_state(run.checkpoint_folder(step), small_learners(), TrainState(step, {}))
    run.close()
    with (run.folder / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 4, "ki')  # cut short by a kill
    (run.checkpoint_folder(3) / "policy.safetensors").write_bytes(b"damaged")
    resumed, checkpoint = Run.resume(run.folder, {})
    resumed.close()
    assert checkpoint == run.checkpoint_folder(2)
    assert resumed.start_step == 2
    assert [json.loads(line)["step"] for line in (run.folder / "metrics.jsonl").read_text().splitlines()] == [1, 2]
    assert len((run.folder / "metrics.superseded.jsonl").read_text().splitlines()) == 2


def test_what_earlier_starts_took_is_counted(tmp_path):
    """Of steps and validations up to the checkpoint; a step that is done again is timed again."""
    run = Run.create(tmp_path / "run", "")
    assert run.seconds_before == 0
    for step, seconds in ((1, 2.0), (2, 3.0), (3, 100.0)):
        run.log({"step": step, "kind": "train", "seconds": seconds})
    run.log({"step": 2, "kind": "validation", "seconds": 0.5})
    run.log({"step": 2, "kind": "alarm"})
    save_state(run.checkpoint_folder(2), small_learners(), TrainState(2, {}))
    run.close()
    resumed, _ = Run.resume(run.folder, {})
    resumed.close()
    assert resumed.seconds_before == 5.5


def test_rows_are_set_aside_once_however_often_that_is_interrupted(tmp_path, monkeypatch):
    run = Run.create(tmp_path / "run", "")
    for _ in range(2):
        run.log({"step": 1, "kind": "train"})
    run.close()

    def write_or_die(file, text, then):
        if file.name == "metrics.jsonl":
            raise KeyboardInterrupt
        write_or_tell(file, text, then)

    with monkeypatch.context() as patch:
        patch.setattr("verigrad.training.run.write_or_tell", write_or_die)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                Run.resume(run.folder, {})
    for step in (5, 6):
        resumed, _ = Run.resume(run.folder, {})
        resumed.log({"step": step, "kind": "train"})
        resumed.close()
    aside = (run.folder / "metrics.superseded.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in aside] == [1, 1, 5]


def test_a_logged_row_is_on_the_disk(tmp_path, monkeypatch):
    run, synced = Run.create(tmp_path / "run", ""), []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").read_text()))
    run.log({"step": 1})
    assert synced == ['{"step": 1}\n']
    run.close()


def test_a_million_steps_are_more_than_999999(tmp_path):
    run = Run.create(tmp_path / "run", "")
    run.close()
    for step in (999_998, 999_999, 1_000_000):
        save_state(run.checkpoint_folder(step), small_learners(), TrainState(step, {}))
    (run.folder / "checkpoints" / "step-999998-copy").mkdir()  # somebody's own: neither counted nor deleted
    run.forget_old_checkpoints(2)
    names = {path.name for path in (run.folder / "checkpoints").iterdir()}
    assert names == {"step-999999", "step-1000000", "step-999998-copy"}
    resumed, checkpoint = Run.resume(run.folder, {})
    resumed.close()
    assert checkpoint == run.checkpoint_folder(1_000_000)


def test_resume_without_a_checkpoint_starts_over(tmp_path):
    Run.create(tmp_path / "run", "").close()
    run, checkpoint = Run.resume(tmp_path / "run", {})
    run.close()
    assert (run.start_step, checkpoint) == (0, None)


def test_a_run_is_written_by_one_process_at_a_time(tmp_path, monkeypatch):
    """A refused start, whatever refuses it, leaves the run as it is and holds nothing back."""
    run = Run.create(tmp_path / "run", "")
    run.log({"step": 1, "kind": "train"})
    with monkeypatch.context() as patched:
        patched.setattr("time.monotonic", itertools.count(0, 100).__next__)
        for start in (lambda: Run.resume(run.folder, {}), lambda: Run.create(run.folder, "")):
            with pytest.raises(RunError, match=r"a run is at work in .*run; wait for it, or choose another --run"):
                start()
    run.log({"step": 2, "kind": "train"})
    run.close()
    assert [json.loads(line)["step"] for line in (run.folder / "metrics.jsonl").read_text().splitlines()] == [1, 2]
    with pytest.raises(RunError, match="already holds a run"):
        Run.create(run.folder, "")
    Run.resume(run.folder, {})[0].close()


def test_all_checkpoints_damaged_is_an_error_that_deletes_nothing(tmp_path):
    run = Run.create(tmp_path / "run", "")
    run.close()
    save_state(run.checkpoint_folder(1), small_learners(), TrainState(1, {}))
    (run.checkpoint_folder(1) / "policy.optimizer.pt").unlink()
    with pytest.raises(CheckpointError, match="damaged"):
        Run.resume(run.folder, {})
    assert (run.checkpoint_folder(1) / "policy.safetensors").exists()


def test_changed_settings_and_existing_folders_are_refused(tmp_path):
    Run.create(tmp_path / "run", "").close()
    with pytest.raises(RunError, match="already holds a run"):
        Run.create(tmp_path / "run", "")
    with pytest.raises(RunError, match=r"seed: 1 -> 2"):
        Run.resume(tmp_path / "run", {"seed": (1, 2)})
    with pytest.raises(RunError, match="nothing to resume"):
        Run.resume(tmp_path / "elsewhere", {})


@contextmanager
def files_at_most(size):
    """Writing beyond so many bytes of a file fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 100_000, 300_000], ids=["everything", "weights", "optimizer"])
def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, size):
    """Weights take 240 kB, the optimizer twice that."""
    run = Run.create(tmp_path / "run", "")
    run.close()
    learners = {"policy": Learner(*small(300, 200))}
    save_state(run.checkpoint_folder(1), learners, TrainState(1, {}))
    with files_at_most(size), pytest.raises(CheckpointError, match=r"cannot write .*step-000002.*--resume"):
        save_state(run.checkpoint_folder(2), learners, TrainState(2, {}))
    assert sorted(path.name for path in (run.folder / "checkpoints").iterdir()) == ["step-000001"]
    resumed, checkpoint = Run.resume(run.folder, {})
    resumed.close()
    assert checkpoint == run.checkpoint_folder(1)


KILLED = """
import os, sys
from pathlib import Path
from verigrad.models.checkpoint import new_folder


def killed(*unused):
    os._exit(9)  # nothing is tidied up; of a fork, so that torch is loaded once


rename, (when, *targets) = Path.rename, sys.argv[1:]
for target in targets:
    if child := os.fork():
        os.waitpid(child, 0)
        continue
    with new_folder(Path(target)) as building:
        (building / "weights").write_text("new")
        if when == "writing":
            killed()
        Path.rename = lambda path, to: killed() if path == building else rename(path, to)
"""


@pytest.mark.parametrize("when", ["writing", "renaming"])
def test_a_kill_loses_no_checkpoint_and_leaves_nothing_behind_a_resumed_run(tmp_path, when):
    run = Run.create(tmp_path / "run", "")
    run.close()
    old, others = run.checkpoint_folder(1), [run.folder / "model", run.folder / "reference" / "round-0001"]
    save_state(old, small_learners(), TrainState(1, {}))
    targets = map(str, (old, run.checkpoint_folder(2), *others))
    subprocess.run([sys.executable, "-c", KILLED, when, *targets], check=True)
    assert len(list(run.folder.rglob(".*"))) >= 4
    resumed, checkpoint = Run.resume(run.folder, {})
    resumed.close()
    assert checkpoint == old and load_state(old, small_learners()) == TrainState(1, {})
    assert list(old.parent.iterdir()) == [old] and list(run.folder.rglob(".*")) == [run.folder / ".lock"]


def test_a_folder_that_a_kill_took_away_is_back_before_it_is_replaced(tmp_path):
    """Where no run is resumed: the next writer of the same name, here one that fails, finds what was there."""
    folder = tmp_path / "model"
    for text in ("old", "new"):
        with new_folder(folder) as building:
            (building / "weights").write_text(text)
    assert (folder / "weights").read_text() == "new" and list(tmp_path.iterdir()) == [folder]
    subprocess.run([sys.executable, "-c", KILLED, "renaming", str(folder)], check=True)
    assert not folder.exists()
    with pytest.raises(CheckpointError), new_folder(folder):
        raise OSError
    assert (folder / "weights").read_text() == "new"


def test_old_checkpoints_go_but_the_best_stays(tmp_path):
    run = Run.create(tmp_path / "run", "")
    run.close()
    for step in range(1, 6):
        save_state(run.checkpoint_folder(step), small_learners(), TrainState(step, {}))
    run.forget_old_checkpoints(2, protect=[1])
    assert sorted(path.name for path in (run.folder / "checkpoints").iterdir()) == [
        "step-000001",
        "step-000004",
        "step-000005",
    ]


FULL = """
import resource, signal, sys
from pathlib import Path
from verigrad.cli import main as cli
from verigrad.training.run import Run

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.modules["torch.utils.tensorboard"] = None  # its thread prints a traceback of its own


def train(words):
    run = Run.create(Path(words[0]), "seed = 1\\n")
    run.log({"step": 1, "kind": "train", "loss": 0.5})
    resource.setrlimit(resource.RLIMIT_FSIZE, (60, 60))
    try:
        for step in range(2, 100):
            run.log({"step": step, "kind": "train", "loss": 0.5})
    finally:
        run.close()


cli.load_attribute = lambda spec: train
sys.exit(cli.main(["rl", sys.argv[1]]))
"""


def test_a_full_disk_ends_a_run_with_one_readable_line_and_keeps_what_was_written(tmp_path):
    """The row that did not fit is still in a buffer when the run is closed, which must not fail once more."""
    found = subprocess.run([sys.executable, "-c", FULL, tmp_path / "run"], capture_output=True, text=True)
    assert found.returncode == 1 and "Traceback" not in found.stderr
    assert re.fullmatch(r"verigrad rl: cannot append to .*File too large; free space, then --resume\n", found.stderr)
    resumed, checkpoint = Run.resume(tmp_path / "run", {})
    resumed.log({"step": 1, "kind": "train"})
    resumed.close()
    assert checkpoint is None


def test_events_hold_every_number_of_a_row(tmp_path):
    """By kind and key, at the row's step; of a resumed run, as in its rows, what came after the checkpoint is gone."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = Run.create(tmp_path / "run", "")
    for step in (1, 2, 3):
        run.log({"step": step, "kind": "train", "loss": 0.5 / step, "records": 3 * step})
        run.log({"step": step, "kind": "alarm", "alarms": [{"metric": "loss"}]})
    run.log({"step": 2, "kind": "validation", "pass@1": 0.25})
    save_state(run.checkpoint_folder(2), small_learners(), TrainState(2, {}))
    run.close()
    resumed, _ = Run.resume(run.folder, {})
    resumed.log({"step": 3, "kind": "train", "loss": 0.75})
    resumed.close()
    events = accumulator.EventAccumulator(str(run.folder)).Reload()
    assert {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.scalars.Keys()} == {
        "train/loss": [(1, 0.5), (2, 0.25), (3, 0.75)],
        "train/records": [(1, 3.0), (2, 6.0)],
        "validation/pass@1": [(2, 0.25)],
    }


def test_a_disk_too_full_for_tensorboard_is_the_same_error(tmp_path, monkeypatch):
    class FullDisk:
        def add_scalar(self, *_):
            raise OSError(28, "No space left on device")

        def close(self):
            raise OSError(28, "No space left on device")

    run = Run.create(tmp_path / "run", "")
    monkeypatch.setattr(run, "_tensorboard", FullDisk())
    with pytest.raises(RunError, match=r"TensorBoard's events: .*No space left.*--resume"):
        run.log({"step": 1, "kind": "train", "loss": 0.5})
    run.close()


def test_a_failed_write_leaves_no_half_file(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "_tensorboard", lambda folder, step: None)  # its thread would meet the limit, too
    run = Run.create(tmp_path / "run", "")
    with files_at_most(50), pytest.raises(RunError, match=r"cannot write .*a.jsonl: .*free space, then --resume"):
        run.write_rows("rollouts/a.jsonl", [{"a": "b" * 99}])
    run.close()
    assert list((run.folder / "rollouts").iterdir()) == []


def test_the_best_checkpoint_is_checked_before_it_is_taken(tmp_path):
    run = Run.create(tmp_path / "run", "")
    run.close()
    for step in (1, 2):
        save_state(run.checkpoint_folder(step), small_learners(), TrainState(step, {}))
    report = ReportConfig(validation="any", validate_every=1, keep_best=True)
    stage = SimpleNamespace(config=StageConfig(report=report))
    loaded = []
    load_best(stage, run, {"best_step": 1}, loaded.append)
    assert loaded == [run.checkpoint_folder(1)]
    weights = run.checkpoint_folder(1) / "policy.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(CheckpointError, match=r"step-000001 is damaged: policy.safetensors .*there are: step-000002"):
        load_best(stage, run, {"best_step": 1}, loaded.append)
    assert len(loaded) == 1
