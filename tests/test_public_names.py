"""Every module's `__all__` names exactly what it defines in public, and importing the package is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "verigrad"
MODULES = [file for file in sorted(SOURCE.rglob("*.py")) if file.read_text().strip()]


def declared_and_defined(source: str) -> tuple[list[str] | None, set[str]]:
    """The `__all__` list of a module and the public names it defines itself (not those it imports)."""
    declared, defined = None, set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            if names == ["__all__"]:
                declared = ast.literal_eval(node.value)
            defined.update(names)
    return declared, {name for name in defined if not name.startswith("_")}


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_all_matches_the_public_names(file):
    declared, defined = declared_and_defined(file.read_text())
    assert declared is not None, "no __all__"
    assert len(declared) == len(set(declared))
    if file.name != "__init__.py":
        assert set(declared) == defined
    else:
        assert defined <= set(declared)


def test_importing_verigrad_imports_no_torch():
    script = "import sys, verigrad; assert not {'torch', 'numpy', 'rich', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
