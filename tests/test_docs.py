"""What docs/ and headers of recipes say exists: a page per algorithm, its paper, commands, the files it links to."""

import inspect
import re
from pathlib import Path

import pytest
import torch
from printed import check_commands, commands, header

from verigrad.algorithms.diffusion_presets import DIFFUSION_PRESETS
from verigrad.algorithms.preference_presets import PREFERENCE_LOSSES
from verigrad.algorithms.presets import PRESETS, call
from verigrad.cli.train import recipe_path
from verigrad.settings import load_config
from verigrad.training.loops import LOOPS

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
ALGORITHM_PAGES = sorted((DOCS / "algorithms").glob("*.md"))
SECTIONS = ["Idea", "Paper", "Formula", "File", "Defaults and where they come from", "Needs and cost"]
SECTIONS += ["Metrics", "Run it", "Pitfalls"]
SHARED_PAGES = {"apo_zero": "apo", "apo_down": "apo"}
RECIPES = sorted((DOCS.parent / "recipes").glob("*.toml"))


def page_of(name):
    name = SHARED_PAGES.get(name, name)
    return DOCS / "algorithms" / f"{name.replace('++', '_plus_plus_').strip('_')}.md"


def index_line(name):
    """The one row of the index's tables that is about this algorithm or loss."""
    index = (DOCS / "algorithms" / "README.md").read_text()
    (line,) = [line for line in index.splitlines() if line.startswith(f"| [`{name}`]({page_of(name).name}) |")]
    return line


def hyper_parameters(loss):
    """Defaults by name."""
    parameters = inspect.signature(loss).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}


def settings_of(words):
    command, *rest = words
    recipe = recipe_path(rest.pop(0)) if not rest[0].startswith("--") else None
    return load_config(LOOPS[command].settings, recipe, rest)


@pytest.mark.parametrize("name", [*PRESETS, *PREFERENCE_LOSSES])
def test_every_page_of_a_method_has_the_same_sections(name):
    assert re.findall(r"^## (.*)$", page_of(name).read_text(), re.MULTILINE) == SECTIONS


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_a_page_with_its_paper_pieces_and_command(name):
    text, row = page_of(name).read_text(), PRESETS[name]
    assert row.paper in text
    for piece in (row.advantage, row.objective, row.reduction, row.keep):
        if piece is not None:
            assert f"`{getattr(piece, 'func', piece).__name__}`" in text
    assert {settings_of(words).algorithm for words in commands(text) if words[0] == "rl"} == {name}


def test_the_index_has_every_preset_and_its_paper():
    for name, row in PRESETS.items():
        assert f"| {row.paper} |" in index_line(name)


@pytest.mark.parametrize("name", PREFERENCE_LOSSES)
def test_every_preference_loss_has_a_page_with_its_paper_defaults_and_command(name):
    text, row = page_of(name).read_text(), PREFERENCE_LOSSES[name]
    assert row.paper in text and re.search(rf"The rows? .*`{name}`", text) and "`algorithms/preference.py`" in text
    for option, default in hyper_parameters(row.loss).items():
        (stated,) = re.findall(rf"^\| `{option}` \| (\S+) \|", text, re.MULTILINE)
        assert stated == "off" if default is None or default is False else float(stated) == default
    settings = [settings_of(words) for words in commands(text) if words[0] == "preference"]
    assert {page_of(found.loss) for found in settings} == {page_of(name)} and name in {found.loss for found in settings}
    assert all(found.options.keys() <= hyper_parameters(row.loss).keys() for found in settings)


def start_of(name):
    """The loss at its defaults where policy and reference agree, on likelihoods of 1; extras as at the first step."""
    zero, one = torch.zeros(1), torch.ones(1, 1)
    known = {"policy": zero, "ref": zero, "desirable": torch.tensor([True]), "kl": 0.0, "delta": 0.0}
    for side in ("chosen", "rejected"):
        known |= {f"{who}_{side}{form}": zero for who in ("policy", "ref") for form in ("", "_mean")}
        known |= {f"{who}_{side}_tokens": 0 * one for who in ("policy", "ref")} | {f"{side}_weights": one}
    known |= {"policy_candidates": torch.zeros(1, 2), "policy_candidates_mean": torch.zeros(1, 2)}
    known |= {"candidate_rewards": torch.tensor([[0.0, 1.0]]), "candidate_mask": torch.ones(1, 2).bool()}
    return call(PREFERENCE_LOSSES[name].loss, **known).item()


@pytest.mark.parametrize("name", PREFERENCE_LOSSES)
def test_the_index_says_what_a_preference_loss_takes_and_where_it_starts(name):
    row = PREFERENCE_LOSSES[name]
    _, _, data, form, reference, start, paper, _, _ = map(str.strip, index_line(name).split("|"))
    assert (data, form, reference, paper) == (row.data, row.form, "yes" if row.reference else "no", row.paper)
    # The likelihood of the chosen answer is 1 here, so that NLL is 0.
    stated = sum(float(term) for term in start.split(" + ") if term != "NLL") if "NLL" in start else float(start)
    assert start_of(name) == pytest.approx(stated, abs=0.006)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_commands_parse_and_links_lead_somewhere(page):
    text = page.read_text()
    check_commands(text)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        assert "://" in target or (page.parent / target).exists(), target


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_the_header_of_a_recipe_says_how_to_run_it(recipe):
    """What a pipeline's command reads are the words of all its stages, too."""
    text = header(recipe)
    check_commands(text)
    assert any(recipe.stem in words for words in commands(text))


@pytest.mark.parametrize("page", ALGORITHM_PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        exec(compile(block, str(page), "exec"), {"__name__": "page"})


def test_the_index_of_diffusion_methods_has_every_row():
    text = (DOCS / "algorithms" / "diffusion_methods.md").read_text()
    for name, row in DIFFUSION_PRESETS.items():
        pieces = (getattr(piece, "func", piece).__name__ for piece in (row.advantage, row.objective, row.reduction))
        cells = [row.paper, f"`{row.estimator}`", *(f"`{piece}`" for piece in pieces)]
        (line,) = [line for line in text.splitlines() if line.startswith(f"| [`{name}`]({name}.md) |")]
        assert all(cell in line for cell in cells), name
