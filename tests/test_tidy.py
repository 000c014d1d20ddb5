"""The house stays tidy: what lint cannot say, said once for the whole tree."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("api", "collector", "dashboards", "distribution", "documents", "monitoring", "registry", "store")
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 70
# The two loops that must live on whatever happens inside a turn.
BROAD_EXCEPT_ALLOWED = {"collector/poller.py", "collector/mqtt.py"}
# Where money meets people and files; amounts are text or integers there too, but layout is not money.
NO_FLOAT = (
    "distribution/money.py",
    "distribution/types.py",
    "distribution/plans",
    "distribution/ledger",
    "distribution/payout",
    "distribution/approval",
    "distribution/settlement",
    "distribution/closing",
)
# Completeness of energy is a part of one, compared but never multiplied into an amount.
NO_MONEY = {"distribution/settlement/reconciliation.py"}
CLOCK_READS = {"now", "utcnow", "today", "time", "time_ns"}
SPEAKS = ("*.py", "*.md", "*.toml", "*.html", "*.sh", "*.json", "*.yml", "*.yaml", "*.conf", "Makefile")


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def sources() -> list[Path]:
    return [path for path in tracked("*.py") if path.relative_to(ROOT).parts[0] in PACKAGES]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def parsed() -> Iterator[tuple[str, ast.Module]]:
    for path in sources():
        yield name_of(path), ast.parse(path.read_text(encoding="utf-8"))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_there_is_something_to_look_at() -> None:
    assert {name_of(path).split("/")[0] for path in sources()} == set(PACKAGES)


def test_no_file_is_too_long() -> None:
    long = [
        (name_of(path), lines)
        for path in [*sources(), *tracked("tests/*.py", "tests/**/*.py")]
        if "migrations/versions" not in name_of(path)
        and (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_FILE_LINES
    ]
    assert long == []


def test_no_function_is_too_long() -> None:
    long = [
        f"{name}:{node.lineno} {node.name} {node.end_lineno - node.lineno + 1}"
        for name, tree in parsed()
        if "migrations/versions" not in name
        for node in functions(tree)
        if node.end_lineno is not None and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_every_module_says_what_it_owns() -> None:
    assert [name for name, tree in parsed() if not ast.get_docstring(tree)] == []


def test_no_broad_except_outside_the_loops_that_must_live_on() -> None:
    broad = [
        f"{name}:{node.lineno}"
        for name, tree in parsed()
        if name not in BROAD_EXCEPT_ALLOWED
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
        )
    ]
    assert broad == []


def test_no_float_on_the_money_path() -> None:
    floats = []
    for name, tree in parsed():
        if not name.startswith(NO_FLOAT) or name in NO_MONEY:
            continue
        for node in ast.walk(tree):
            literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
            call = (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in {"float", "round"}
            )
            if literal or call:
                floats.append(f"{name}:{node.lineno}")
    assert floats == []


def test_the_domain_is_told_the_time_and_never_asks() -> None:
    asked = [
        f"{name}:{node.lineno}"
        for name, tree in parsed()
        if not name.startswith(("api/", "collector/"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCK_READS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"datetime", "date", "time"}
    ]
    assert asked == []


def test_nothing_names_a_registry_or_this_machine() -> None:
    hosts = r"p[y]pi\.org|p[y]thonhosted|registry\.n[p]mjs|deb\.d[e]bian\.org|cr[a]tes\.io|proxy\.g[o]lang"
    forbidden = re.compile(rf"{hosts}|/w[o]rk/(main|shared|\.library)|\.\./s[h]ared|/tmp/b[a]sh_jobs")
    assert [name_of(path) for path in tracked(*SPEAKS) if forbidden.search(path.read_text("utf-8"))] == []


def test_no_unfinished_marks() -> None:
    marks = re.compile(r"\bT[O]DO\b|\bF[I]XME\b|\bX[X]X\b|NotImplemented[E]rror")
    assert [
        name_of(path)
        for path in tracked("*.py", "*.js", "*.html")
        if marks.search(path.read_text(encoding="utf-8"))
    ] == []


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    marks = re.compile(r"mark\.s[k]ip|mark\.x[f]ail|pytest\.s[k]ip\(")
    assert [
        name_of(path)
        for path in tracked("tests/*.py", "tests/**/*.py")
        if marks.search(path.read_text(encoding="utf-8"))
    ] == []


@pytest.mark.parametrize(
    "name",
    ["README.md", "README.zh-CN.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", ".ci/run", "Makefile"],
)
def test_a_stranger_finds_what_a_project_has(name: str) -> None:
    assert (ROOT / name).is_file()


def test_lock_files_name_no_address() -> None:
    for name in ("requirements.lock", "requirements-dev.lock", "package-lock.json"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "--index-url" not in text
        assert '"resolved"' not in text


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_links_of_the_first_pages_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = {target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)}
    local = {target for target in targets if target and "://" not in target}
    assert local
    assert [target for target in sorted(local) if not (ROOT / target).exists()] == []
