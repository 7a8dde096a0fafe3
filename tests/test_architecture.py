"""Tests of the style guide's rules that can be checked by a program."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIBRARY = sorted(path for folder in ("workbench", "app") for path in (ROOT / folder).rglob("*.py"))
SOURCES = [*LIBRARY, *sorted((ROOT / "tests").rglob("*.py"))]
FORBIDDEN_NAMES = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "base",
    "manager",
    "handler",
    "factory",
    "misc",
}
HEAVY = {"torch", "transformer_lens", "streamlit", "pandas", "sklearn", "plotly", "gymnasium", "scipy"}

KINDS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Call, ast.Import, ast.ImportFrom)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(autouse=True, scope="module")
def forget_sources() -> Iterator[None]:
    """The trees of all files are read once for these tests, and not kept for the tests of other files."""
    yield
    for function in (parsed, nodes_by_type, documentation, name_of_call):
        function.cache_clear()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes_by_type(path: Path) -> dict[type[ast.AST], list[ast.AST]]:
    """The nodes of a file that some rule is about."""
    found: dict[type[ast.AST], list[ast.AST]] = {kind: [] for kind in KINDS}
    for node in ast.walk(parsed(path)):
        if type(node) in found:
            found[type(node)].append(node)
    return found


def nodes(paths: list[Path], *types: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for path in paths:
        for kind in types:
            for node in nodes_by_type(path)[kind]:
                yield f"{shown(path)}:{getattr(node, 'lineno', 0)}", node


@cache
def documentation(node: ast.AST) -> int:
    """Lines of docstrings in a node, those below fields and constants included."""
    texts = (n for n in ast.walk(node) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))
    return sum(n.end_lineno - n.lineno + 1 for n in texts if isinstance(n.value.value, str))  # type: ignore[operator]


def lines(node: ast.AST) -> int:
    """Lines of a function or class without documentation."""
    return node.end_lineno - node.lineno + 1 - documentation(node)  # type: ignore[attr-defined]


def functions(paths: list[Path]) -> Iterator[tuple[str, Function]]:
    yield from nodes(paths, ast.FunctionDef, ast.AsyncFunctionDef)  # type: ignore[misc]


@cache
def name_of_call(node: ast.AST) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def test_files_stay_under_300_lines() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in SOURCES}
    sizes = {shown(path): len(texts[path].splitlines()) - documentation(parsed(path)) for path in SOURCES}
    assert not {name: size for name, size in sizes.items() if size >= 300}


def test_functions_stay_under_40_lines() -> None:
    assert not [(where, node.name, lines(node)) for where, node in functions(SOURCES) if lines(node) >= 40]


def test_the_median_function_of_the_library_is_short() -> None:
    assert statistics.median(lines(node) for _, node in functions(LIBRARY)) <= 12


def test_functions_take_at_most_8_arguments() -> None:
    def count(node: Function) -> int:
        names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        return len([name for name in names if name not in ("self", "cls")])

    assert not [(where, node.name, count(node)) for where, node in functions(LIBRARY) if count(node) > 8]


def test_classes_stay_under_250_lines() -> None:
    classes = nodes(SOURCES, ast.ClassDef)
    assert not [(where, lines(node)) for where, node in classes if lines(node) > 250]


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    stems = {part for path in SOURCES for part in (*path.relative_to(ROOT).parent.parts, path.stem)}
    assert not [stem for stem in stems if FORBIDDEN_NAMES & set(stem.lower().split("_"))]


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for path in SOURCES}
    assert not [shown(folder) for folder in folders if not (folder / "__init__.py").exists()]


@pytest.mark.parametrize(
    "call", ["print", "torch.load", "yaml.load", "pickle.load", "pickle.loads", "eval", "exec", "breakpoint"]
)
def test_the_library_never_calls(call: str) -> None:
    assert not [where for where, node in nodes(LIBRARY, ast.Call) if name_of_call(node) == call]


def test_the_library_never_imports_pickle() -> None:
    banned = {"pickle", "dill", "cloudpickle", "joblib"}
    imports = nodes(LIBRARY, ast.Import, ast.ImportFrom)
    assert not [where for where, node in imports if banned & set(re.findall(r"\w+", ast.unparse(node)))]


LEFT = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b|noqa: ?[EF]\d|noqa(?!:)")
"""Marks of what is unfinished, and of a rule of pycodestyle or pyflakes, or every rule, that is switched off."""


def test_nothing_is_left_to_do() -> None:
    assert not [shown(path) for path in LIBRARY if LEFT.search(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("line", ["x = 1  # noqa: E501", "import x  # noqa:F401", "x  # noqa", "# TODO: x"])
def test_what_is_left_to_do_is_noticed(line: str) -> None:
    assert LEFT.search(line)
    assert not LEFT.search("x  # noqa: SIM115")


def test_no_keyword_arguments_are_passed_along() -> None:
    def passes_along(node: Function) -> bool:
        name = node.args.kwarg.arg if node.args.kwarg else None
        stars = [k.value for call in ast.walk(node) if isinstance(call, ast.Call) for k in call.keywords if not k.arg]
        keeps_signature = any(ast.unparse(d).startswith("wraps(") for d in node.decorator_list)
        passed = any(isinstance(star, ast.Name) and star.id == name for star in stars)
        return name is not None and passed and not keeps_signature

    assert not [(where, node.name) for where, node in functions(LIBRARY) if passes_along(node)]


def test_no_file_names_a_place_on_one_machine() -> None:
    place = re.compile(r"(?<![\w.])/(work|tmp|home|root|Users)/\w")
    written = [
        *LIBRARY,
        *(path for path in ROOT.glob("*.*") if path.name != ".git"),  # a file in a linked worktree
        *(ROOT / "models").rglob("*.json"),
        ROOT / "Makefile",
        ROOT / ".ci/run",
    ]
    texts = {shown(path): path.read_text(encoding="utf-8", errors="ignore") for path in written if path.is_file()}
    assert not {name: found[0] for name, text in texts.items() if (found := place.search(text))}


def test_the_layers_of_the_design_hold() -> None:
    command = [Path(sys.executable).parent / "lint-imports", "--no-logo"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def modules_after(code: str) -> set[str]:
    listing = f"import sys\n{code}\nsys.stdout.write('\\n@' + ' '.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", listing], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.rpartition("@")[2].split())


def test_importing_the_workbench_costs_next_to_nothing() -> None:
    loaded = modules_after("import workbench")
    assert not loaded & HEAVY
    assert len(loaded) < 150


def test_help_on_the_command_line_imports_nothing_heavy() -> None:
    code = "import contextlib, workbench.cli\nsys.argv = ['workbench', '--help']\n"
    assert not modules_after(f"{code}with contextlib.suppress(SystemExit): workbench.cli.main()") & HEAVY


def test_every_folder_of_the_library_has_a_folder_of_tests() -> None:
    library = ROOT / "workbench"
    folders = {path.parent.relative_to(library) for path in LIBRARY if path.is_relative_to(library)}
    assert not [str(folder) for folder in folders if not (ROOT / "tests" / folder).is_dir()]


# Modalities


MODALITIES = ROOT / "workbench" / "experiments" / "modalities"
NAMES = {path.stem for path in MODALITIES.glob("*.py")} - {"__init__"}
OTHER_MEANINGS = {
    "app/views/traversal.py": {"known[name].unit == 'latent'"},  # an axis
    "workbench/core/axes_of_tape.py": {"name != 'rows'"},  # an argument
    "workbench/data/text/tokenizers.py": {"'pair'"},  # a tokenizer
}


def words(*nodes: ast.AST | None) -> set[str]:
    """The texts among expressions and what these list."""
    found = (n for node in nodes if node is not None for n in ast.walk(node))
    return {n.value for n in found if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def names_modality(node: ast.AST) -> bool:
    """True if a node compares a text with the name of a modality, looks one up by it, or imports its file."""
    match node:
        case ast.Compare(left=left, comparators=right):
            return bool(NAMES & words(left, *right))
        case ast.MatchValue(value=value):
            return bool(NAMES & words(value))
        case ast.Subscript(value=ast.Dict(keys=keys)) | ast.Call(func=ast.Attribute(value=ast.Dict(keys=keys))):
            return bool(NAMES & words(*keys))
        case ast.Subscript(value=ast.Name(id="MODALITIES"), slice=index):
            return bool(words(index))
        case ast.Call(func=ast.Attribute(attr="startswith" | "endswith"), args=args):
            return bool(NAMES & words(*args))
        case ast.ImportFrom(module=module):
            return (module or "").startswith("workbench.experiments.modalities")
    return False


def asking_by_name(source: ast.Module, allowed: frozenset[str] | set[str] = frozenset()) -> list[str]:
    """Expressions of a source text that ask for a modality by its name."""
    found = (ast.unparse(node) for node in ast.walk(source) if names_modality(node))
    return [expression for expression in found if expression not in allowed]


def test_nothing_outside_its_file_asks_for_a_modality_by_name() -> None:
    places = {
        shown(path): found
        for path in LIBRARY
        if MODALITIES not in path.parents
        and (found := asking_by_name(parsed(path), OTHER_MEANINGS.get(shown(path), set())))
    }
    assert len(NAMES) >= 6 and not places


@pytest.mark.parametrize(
    "line",
    [
        'kind == "text"',
        '"policy" != modality_of(card).name',
        'kind in ("text", "pair")',
        'x = {"text": 1, "image": 2}[kind]',
        'x = {"text": 1}.get(kind, 0)',
        'modality is MODALITIES["image"]',
        "match kind:\n    case 'latent':\n        pass",
        'kind.startswith("rows")',
        "from workbench.experiments.modalities.image import IMAGE",
    ],
)
def test_asking_for_a_modality_by_name_is_noticed(line: str) -> None:
    assert asking_by_name(ast.parse(line))
