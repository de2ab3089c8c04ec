"""`dtype = "auto"` is decided once, by the device, and a run keeps what it began with; devices that are not there."""

import json
from dataclasses import replace

import pytest
import torch

from verigrad.cli.main import main
from verigrad.errors import ConfigError, RunError
from verigrad.models import causal
from verigrad.models.causal import native_bfloat16, pick_device, resolved_dtype
from verigrad.settings import load_config
from verigrad.training.config import RLConfig, changed_settings
from verigrad.training.memory import peak_memory
from verigrad.training.rl import train
from verigrad.training.stage import settled

CPU = torch.device("cpu")


@pytest.fixture
def native(monkeypatch):
    """Says what this machine's CPU can do."""
    return lambda can: monkeypatch.setattr(causal, "native_bfloat16", lambda device: can)


@pytest.mark.parametrize(("capability", "can"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_gpus_compute_in_bfloat16_from_ampere_on(capability, can, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert native_bfloat16(torch.device("cuda:0")) == can
    assert resolved_dtype("auto", torch.device("cuda:0")) == (torch.bfloat16 if can else torch.float32)


def test_a_torch_without_the_question_has_no_bfloat16(monkeypatch):
    monkeypatch.setattr(causal.torch.ops, "mkldnn", object())
    assert not native_bfloat16(CPU)


@pytest.mark.parametrize(("can", "found"), [(True, "bfloat16"), (False, "float32")])
def test_auto_is_decided_by_the_device_and_words_are_kept(can, found, native, tmp_path):
    native(can)
    config = RLConfig(run=str(tmp_path / "run"), device="cpu")
    assert config.dtype == "auto" and settled(config, resume=False).dtype == found
    assert settled(replace(config, dtype="bfloat16"), resume=False).dtype == "bfloat16"


def test_a_run_records_what_auto_was_and_goes_on_with_it_elsewhere(settings, native):
    """Begun where bfloat16 is emulated, resumed where it is native: the run stays in float32."""
    native(False)
    config = RLConfig(**{**settings, "dtype": "auto", "steps": 1})
    folder = train(config)
    assert 'dtype = "float32"' in (folder / "config.toml").read_text()
    assert json.loads((folder / "summary.json").read_text())["setup"]["dtype"] == "float32"
    native(True)
    assert train(config, resume=True) == folder
    assert 'dtype = "float32"' in (folder / "config.toml").read_text()
    with pytest.raises(RunError, match="dtype: 'float32' -> 'bfloat16'"):
        train(replace(config, dtype="bfloat16"), resume=True)


def test_a_run_begun_with_explicit_bfloat16_goes_on_under_the_new_default(settings, native):
    native(False)
    begun = RLConfig(**{**settings, "dtype": "bfloat16", "steps": 1})
    folder = train(begun)
    assert train(replace(begun, dtype="auto"), resume=True) == folder
    assert load_config(RLConfig, folder / "config.toml").dtype == "bfloat16"


def test_auto_asks_for_no_change_of_a_sweep_or_run_and_everything_else_still_does():
    begun = RLConfig(dtype="bfloat16")
    assert changed_settings(begun, RLConfig()) == {}
    assert changed_settings(begun, RLConfig(steps=7)) == {"steps": (50, 7)}
    assert changed_settings(begun, RLConfig(dtype="float32")) == {"dtype": ("bfloat16", "float32")}


@pytest.mark.parametrize("device", ["cdua", "cuda:99"])
def test_a_device_that_is_not_there_is_refused_by_name(device):
    with pytest.raises(ConfigError, match=rf"device is '{device}', .*here there are: auto, cpu"):
        pick_device(device)


def test_the_command_line_says_so_too(capsys):
    assert main(["sample", "Hi", "--device", "cdua"]) == 1
    error = capsys.readouterr().err
    assert "device is 'cdua'" in error and "Traceback" not in error


def test_memory_on_a_gpu_is_reported_beside_the_process(monkeypatch):
    assert set(peak_memory(CPU)) == {"peak_memory_mb"}
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * 2**20)
    assert peak_memory(torch.device("cuda:0"))["peak_gpu_memory_mb"] == 3.0
