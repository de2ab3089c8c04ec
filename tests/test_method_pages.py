"""Pages of methods that are no row of the two tables, and of the diffusion rows: their parts, defaults and commands.

Also what docs/papers.md, docs/concepts.md and docs/design.md say is where.
"""

import inspect
import re

import pytest
from printed import commands
from test_docs import DOCS, SECTIONS, page_of, settings_of

from verigrad.algorithms.diffusion_presets import DIFFUSION_PRESETS
from verigrad.preferences.mining import MINERS, miner_options
from verigrad.training.config import PreferenceConfig, RLConfig, ScoringConfig, SFTConfig
from verigrad.training.estimators import chosen_estimator, filled_scoring, order_warnings
from verigrad.training.options import with_options

# Methods that are no row of a table, with the settings of the loop that they are about.
PROCEDURES = {
    "importance": RLConfig(),
    "mining_pairs": None,
    "preference_rounds": PreferenceConfig(tasks="builtin"),
    "rejection_sampling": SFTConfig(data="demonstrations.jsonl"),
    "vrpo": PreferenceConfig(tasks="builtin", diffusion=filled_scoring("elbo", ScoringConfig())),
}
# Biased whatever the order, as their pages say; the others' commands avoid it.
BIASED = ("diffu_grpo", "wd1", "coupled_grpo")


@pytest.mark.parametrize("name", [*DIFFUSION_PRESETS, *PROCEDURES])
def test_the_page_has_the_sections_that_all_methods_have(name):
    assert re.findall(r"^## (.*)$", page_of(name).read_text(), re.MULTILINE) == SECTIONS


def stated_defaults(text):
    """Names and value of each row of a page's table of defaults; a row of two settings gives two."""
    (table,) = re.findall(r"^## Defaults.*?$(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    for line in re.findall(r"^\| (?!setting|option|---)(.*) \|$", table, re.MULTILINE):
        names, value, _ = line.split(" | ", 2)
        owner, colon, rest = names.rpartition(": ")
        named, values = re.findall(r"`([^`]+)`", rest), value.split(", ")
        for name, own in zip(named, values if len(values) == len(named) else [value] * len(named), strict=True):
            yield (owner.strip("`") if colon else "", name), own


def states(value, default):
    """Whether a page's words give this default."""
    if default is None:
        return value == "off"
    if isinstance(default, bool):
        return value == str(default).lower()
    word = value.split()[0].rstrip(",")
    return word == f"`{default}`" if isinstance(default, str) else float(word.strip("`")) == float(default)


def at(config, path):
    for key in path.split("."):
        config = getattr(config, key)
    return config


def has(config, path):
    try:
        return at(config, path) is not None or path == "opsm_delta"
    except AttributeError:
        return False


@pytest.mark.parametrize("name", DIFFUSION_PRESETS)
def test_every_diffusion_method_has_a_page_with_its_paper_pieces_defaults_and_command(name):
    text, row = page_of(name).read_text(), DIFFUSION_PRESETS[name]
    assert row.paper in text and f"`{row.estimator}`" in text
    pieces = (row.advantage, row.objective, row.reduction)
    assert all(f"| `{getattr(piece, 'func', piece).__name__}`" in text for piece in pieces)
    own = {p.name: p.default for piece in pieces for p in inspect.signature(piece).parameters.values()}
    config = RLConfig(diffusion=filled_scoring(row.estimator, ScoringConfig()))
    stated = {key: value for (_, key), value in stated_defaults(text)}
    known = {key: own[key] for key in stated if key in own} | {k: at(config, k) for k in stated if has(config, k)}
    assert "diffusion.estimator" in known and {*known} >= {key for key in ("clip_low", "beta", "scale") if key in own}
    assert all(states(stated[key], default) for key, default in known.items()), known
    for words in commands(text):
        settings = settings_of(words)
        assert settings.algorithm == name
        scoring = chosen_estimator(settings, with_options(row, settings.options))
        if name not in BIASED:
            assert order_warnings(scoring, settings.denoise) == []


@pytest.mark.parametrize("name", PROCEDURES)
def test_the_page_of_a_procedure_states_the_defaults_there_are(name):
    config, checked = PROCEDURES[name], 0
    for (owner, key), value in stated_defaults(page_of(name).read_text()):
        if owner in MINERS:
            assert states(value, miner_options(MINERS[owner])[key]), key
        elif config is not None and has(config, key):
            assert states(value, at(config, key)), key
        else:
            continue
        checked += 1
    assert checked >= 2


def test_every_paper_that_the_code_names_is_listed_with_the_files_that_name_it():
    source = DOCS.parent / "src" / "verigrad"
    named = {id_ for file in source.rglob("*.py") for id_ in re.findall(r"arXiv:(\d+\.\d+)", file.read_text())}
    listed = []
    for line in re.findall(r"^\| (?!paper|---)(.*) \|$", (DOCS / "papers.md").read_text(), re.MULTILINE):
        paper, id_, *_, where = (cell.strip() for cell in line.split(" |"))
        files = re.findall(r"`([\w/]+\.py)`", where)
        assert files, paper
        for file in files:
            text = (source / file).read_text()
            assert f"arXiv:{id_}" in text if id_ else re.match(r"[\w']+", paper).group() in text, (paper, file)
        listed += [id_] if id_ else []
    assert sorted(listed) == sorted(named)


def test_the_places_that_concepts_names_exist():
    for path in re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:\.py|/))`", (DOCS / "concepts.md").read_text()):
        assert (DOCS.parent / "src" / "verigrad" / path).exists() or (DOCS.parent / path).exists(), path


def test_the_documents_and_folders_that_the_design_lists_exist():
    design = (DOCS / "design.md").read_text()
    (listed,) = re.findall(r"^ +docs/ +([^\n]*)$", design, re.MULTILINE)
    pages = re.sub(r"\(.*?\)", "", listed).replace("a page per algorithm", "algorithms").split(",")
    for name in map(str.strip, pages):
        assert (DOCS / f"{name}.md").exists() or (DOCS / name).is_dir(), name
    assert all((DOCS.parent / folder).is_dir() for folder in ("recipes", "benchmarks", "examples", "tests"))
