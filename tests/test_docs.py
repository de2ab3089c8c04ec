"""What docs/ says exists: a page per algorithm, its paper, the commands on it, the files it links to."""

import re
import shlex
from pathlib import Path

import pytest

from verigrad.algorithms.presets import PRESETS
from verigrad.cli.main import COMMANDS
from verigrad.cli.train import recipe_path
from verigrad.settings import load_config
from verigrad.training.config import PreferenceConfig, RewardModelConfig, RLConfig, SFTConfig

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
ALGORITHM_PAGES = sorted((DOCS / "algorithms").glob("*.md"))
CONFIGS = {"rl": RLConfig, "sft": SFTConfig, "preference": PreferenceConfig, "reward-model": RewardModelConfig}


def page_of(name):
    return DOCS / "algorithms" / f"{name.replace('++', '_plus_plus_').strip('_')}.md"


def commands(text):
    """Words of each line that is a command, indented or in a fence."""
    found = (shlex.split(line, comments=True) for line in re.findall(r"^ *(verigrad .*)$", text, re.MULTILINE))
    return [words[1:] for words in found if words[1:2] and words[1] in COMMANDS]


def settings_of(words):
    command, *rest = (word for word in words if word not in ("--resume", "--dry-run"))
    recipe = recipe_path(rest.pop(0)) if rest and not rest[0].startswith("--") else None
    return load_config(CONFIGS[command], recipe, rest)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_a_page_with_its_paper_pieces_and_command(name):
    text, row = page_of(name).read_text(), PRESETS[name]
    assert row.paper in text
    for piece in (row.advantage, row.objective, row.reduction, row.keep):
        if piece is not None:
            assert f"`{getattr(piece, 'func', piece).__name__}`" in text
    assert [settings_of(words).algorithm for words in commands(text)] == [name]


def test_the_index_has_every_preset_and_its_paper():
    index = (DOCS / "algorithms" / "README.md").read_text()
    for name, row in PRESETS.items():
        (line,) = [line for line in index.splitlines() if line.startswith(f"| [`{name}`]({page_of(name).name}) |")]
        assert f"| {row.paper} |" in line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_commands_parse_and_links_lead_somewhere(page):
    text = page.read_text()
    for words in commands(text):
        if words[0] in CONFIGS:
            settings_of(words)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        assert "://" in target or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", ALGORITHM_PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        exec(compile(block, str(page), "exec"), {"__name__": "page"})
