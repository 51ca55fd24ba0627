"""What others import comes from `spatius_sim`, is loaded lazily, and has one name in the whole tree."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

import spatius_sim
from spatius_sim.files.find_resources import resource

PACKAGE = Path(spatius_sim.__file__).parent
EXPORTS = {
    "MotionServer",
    "RunningMotionServer",
    "SpatiusSimError",
    "UnreachableError",
    "UsageError",
    "serve_stdio",
    "serve_websocket",
    "strategies",
}
_INNER = re.compile(r"(?:from|import) (spatius_sim\.[\w.]+)")


def test_the_front_door_offers_these_names() -> None:
    assert set(spatius_sim.__all__) == EXPORTS
    assert set(dir(spatius_sim)) >= EXPORTS


@pytest.mark.parametrize("name", sorted(EXPORTS))
def test_every_name_is_there(name: str) -> None:
    exported = getattr(spatius_sim, name)
    assert isinstance(exported, ModuleType) or exported.__name__ == name


def test_a_name_that_is_not_public_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="'spatius_sim' has no attribute 'Nothing'"):
        _ = spatius_sim.Nothing


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    code = "import sys, spatius_sim; print(*(name for name in sys.modules if name.startswith('spatius_sim')))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.split() == ["spatius_sim"]


def test_a_mock_server_without_a_scenario_loads_no_yaml() -> None:
    code = "import sys, spatius_sim; spatius_sim.MotionServer(); print('yaml' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "False\n"


def test_documents_and_examples_use_the_front_door_alone() -> None:
    folder = resource("conformance")
    documents = [*folder.rglob("*.md"), *(folder / "examples").rglob("*.py"), *folder.glob("client/*.py")]
    documents = [path for path in documents if not path.name.startswith("test_client")]
    assert documents
    used = {path.name: _INNER.findall(path.read_text(encoding="utf-8")) for path in documents}
    assert {name: inner for name, inner in used.items() if inner} == {}


def test_a_public_class_stands_once_in_the_whole_tree() -> None:
    modules = [
        path for path in PACKAGE.rglob("*.py") if "tests" not in path.parts and "_pb2" not in path.name
    ]
    classes = Counter(
        node.name
        for path in modules
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, times in classes.items() if times > 1] == []
