"""Style that a linter does not know: sizes, purity, template shape, what must not leak."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES_MAX = 300
FUNCTION_LINES_MAX = 50
LOG_SERVICES = ("users", "policies", "scheduler", "agents", "storage", "modelstore")
TEMPLATE = ("README.md", "__init__.py", "__main__.py", "app.py", "domain/__init__.py", "schema")
IMPURE_CALLS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "time.time",
    "time.monotonic",
    "uuid.uuid4",
    "uuid.uuid1",
    "new_id",
    "ids.new_id",
    "open",
    "print",
}
IMPURE_MODULES = {
    "asyncio",
    "asyncpg",
    "nats",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "sqlite3",
    "subprocess",
    "time",
    "uuid",
    "uuid_utils",
}
PURE_SHARED = ("shared.kernel", "shared.contracts")
FORBIDDEN_TEXT = re.compile(
    r"(py" + r"pi|pythonhos" + r"ted|npm" + r"js|deb\.deb" + r"ian)\.(org|com)"
    r"|/wo" + r"rk/|/ro" + r"ot/\.|/tm" + r"p/[a-z]"
)


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def sources() -> list[Path]:
    return tracked("shared/*.py", "services/*.py", "deploy/*.py")


def pure_files() -> list[Path]:
    return [
        path
        for path in tracked("services/*/domain/*.py", "services/scheduler/placement/*.py")
        if path.name != "__init__.py"
    ]


def called(node: ast.Call) -> str:
    parts: list[str] = []
    target: ast.expr = node.func
    while isinstance(target, ast.Attribute):
        parts.append(target.attr)
        target = target.value
    if isinstance(target, ast.Name):
        parts.append(target.id)
    return ".".join(reversed(parts))


def imported_modules(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_no_file_is_longer_than_one_can_take_in():
    too_long = {
        relative(path): lines
        for path in (*sources(), *tracked("tests/*.py", "services/*.html", "services/*.js", "qm"))
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > FILE_LINES_MAX
    }
    assert not too_long


def test_no_function_is_longer_than_a_screen():
    too_long = {}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    too_long[f"{relative(path)}:{node.name}"] = lines
    assert not too_long


def test_domain_and_placement_read_no_clock_no_random_and_do_no_io():
    impure = []
    for path in pure_files():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        impure += [
            f"{relative(path)} imports {name}"
            for name in imported_modules(tree)
            if name.split(".")[0] in IMPURE_MODULES
            or (name.startswith("shared.") and not name.startswith(PURE_SHARED))
        ]
        impure += [
            f"{relative(path)}:{node.lineno} calls {name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and (name := called(node)) in IMPURE_CALLS
        ]
        impure += [
            f"{relative(path)}:{node.lineno} is async"
            for node in ast.walk(tree)
            if isinstance(node, ast.AsyncFunctionDef | ast.Await)
        ]
    assert not impure


@pytest.mark.parametrize("service", [*LOG_SERVICES, "gateway"])
def test_every_service_has_the_same_shape(service):
    folder = ROOT / "services" / service
    wanted = [part for part in TEMPLATE if service != "gateway" or not part.startswith("domain")]
    assert not [part for part in wanted if not (folder / part).exists()]


def test_every_package_says_what_it_is():
    silent = [
        relative(path)
        for path in sources()
        if path.name == "__init__.py"
        and not (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").strip()
    ]
    assert not silent


def test_nothing_names_a_registry_or_a_path_of_somebodys_machine():
    leaks = []
    for path in tracked():
        if path.suffix in {".png", ".mo", ".woff2", ".ico"}:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if FORBIDDEN_TEXT.search(line):
                leaks.append(f"{relative(path)}:{number}: {line.strip()[:80]}")
    assert not leaks


def test_every_dependency_is_pinned_with_its_hashes():
    for path in tracked("deploy/requirements/*.txt"):
        entries = re.sub(r"\\\n\s*", " ", path.read_text(encoding="utf-8")).splitlines()
        for entry in filter(None, entries):
            assert "==" in entry, entry
            assert "--hash=sha256:" in entry, entry


def test_no_test_waits_for_time_to_pass():
    sleeps = [
        f"{relative(path)}:{node.lineno}"
        for path in tracked("tests/*.py", ":!tests/benchmarks")  # they make a load by the clock
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and called(node) in {"time.sleep", "asyncio.sleep"}
        and not (node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
    ]
    assert not sleeps


def test_the_readme_names_the_two_commands_and_every_service():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for needed in ("./qm up", "./qm test", *(f"services/{name}" for name in LOG_SERVICES)):
        assert needed in readme


def referenced(page, letter):
    """Return what the rows of a table in the docs say in their last column, by their number."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    rows = re.findall(rf"^\| {letter}(\d+) \|.*\| ([^|]+) \|$", text, flags=re.MULTILINE)
    return {int(number): last for number, last in rows}


def is_a_test(reference):
    file, _, test = reference.strip("`").partition("::")
    path = ROOT / file
    return path.is_file() and f"def {test}(" in path.read_text(encoding="utf-8")


def test_every_invariant_of_the_architecture_names_a_test_that_exists():
    rows = referenced("ARCHITECTURE.md", "I")
    assert list(rows) == list(range(1, 16))
    assert [name for name, reference in rows.items() if not is_a_test(reference)] == []


def test_every_golden_example_names_a_test_that_exists_or_the_part_that_it_waits_for():
    rows = referenced("golden-examples.md", "G")
    assert list(rows) == list(range(1, 37))
    without = {number for number, reference in rows.items() if not is_a_test(reference)}
    assert without == {number for number, told in rows.items() if told.startswith("not built: ")}
