"""Imports point down only (docs/design.md, section 2), also under TYPE_CHECKING."""

import ast
import re
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "verigrad"

# Highest first; parts on one line never import each other.
LAYERS = [
    {"__main__"},
    {"cli"},
    {"training", "serving", "ui"},
    {"evaluation", "preferences"},
    {"rollout"},
    {"agents"},
    {"rewards"},
    {"engines"},
    {"algorithms", "sandbox", "models", "tasks"},
    {"settings"},
    {"append_log", "locks", "types", "registry", "jsonl", "writing"},
    {
        "allocator",
        "changes",
        "decimals",
        "environment",
        "errors",
        "files",
        "literals",
        "paths",
        "prototypes",
        "seeds",
        "values",
    },
]
HEIGHT = {part: len(LAYERS) - depth for depth, layer in enumerate(LAYERS) for part in layer}
HEIGHT["verigrad"] = HEIGHT["types"]  # the package itself names the types again
NO_TORCH = {"paths", "settings", "seeds", "sandbox", "tasks", "types", "errors", "registry", "values"}
NO_TORCH |= {
    "append_log",
    "allocator",
    "changes",
    "decimals",
    "environment",
    "files",
    "jsonl",
    "locks",
    "preferences",
    "prototypes",
}
NO_TORCH |= {"literals", "writing"}
STANDALONE = {"algorithms": "torch", "changes": None, "literals": None, "prototypes": None, "values": None}


def imported_modules(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide their layer"
            found.append(node.module or "")
    return found


def violations(part: str, source: str) -> list[str]:
    """Complaints about one file of the top-level part `part`."""
    complaints = []
    for module in imported_modules(ast.parse(source)):
        root, *rest = module.split(".")
        if root == "torch" and part in NO_TORCH:
            complaints.append(f"{part} imports torch")
        if root != "verigrad":
            continue
        target = rest[0] if rest else "verigrad"
        if part in STANDALONE and target != part:
            complaints.append(f"{part} stands alone but imports {module}")
        elif target != part and HEIGHT.get(target, 99) >= HEIGHT[part]:
            complaints.append(f"{part} imports {module}, which is not below it")
    return complaints


def test_the_diagram_of_the_design_has_the_same_layers():
    """Some layers take two lines there."""
    text = (ROOT / "docs" / "design.md").read_text()
    (diagram,) = re.findall(r"^    __main__ .*\n(?:    .*\n)+", text, re.MULTILINE)
    places = {part: number for number, layer in enumerate(LAYERS) for part in layer}
    names = [part for line in diagram.splitlines() for part in line[4:50].split()]
    found = [set(layer) for _, layer in groupby(names, key=places.__getitem__)]
    assert found == LAYERS


def test_imports_point_down():
    complaints = []
    for file in sorted(SOURCE.rglob("*.py")):
        part = file.relative_to(SOURCE).parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        assert part in HEIGHT, f"{file}: give {part!r} a layer"
        complaints += [f"{file.relative_to(SOURCE)}: {line}" for line in violations(part, file.read_text())]
    assert complaints == []


def test_the_layer_check_sees_what_it_should():
    assert violations("tasks", "import verigrad.sandbox.base") != []
    assert violations("sandbox", "def f():\n    import torch") != []
    assert violations("rewards", "from verigrad.training.rl import train") != []
    assert violations("algorithms", "from verigrad.types import Task") != []
    assert violations("training", "from verigrad.rollout import collect\nimport torch") == []
