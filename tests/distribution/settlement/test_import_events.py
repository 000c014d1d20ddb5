from datetime import UTC, datetime

from distribution.settlement.import_events import PROBLEMS_KEPT, import_event, refusal_event
from distribution.settlement.imports import ImportResult
from registry.actors import SYSTEM
from store.events import Severity
from store.problem import Problem

NOW = datetime(2026, 11, 25, 4, 30, tzinfo=UTC)


def test_an_import_with_problems_tells_the_first_twenty_with_cell_and_account():
    problems = tuple(Problem(f"a.csv!C{row}", "不是数字", "请改正") for row in range(2, 32))
    result = ImportResult("a.csv", "0" * 64, False, problems=problems, accounts={"a.csv!C2": "0001"})
    told = import_event(SYSTEM, "到账清单", result, NOW)
    assert told.severity is Severity.WARNING
    assert told.detail["problem_count"] == len(problems)
    listed = str(told.detail["problems"]).splitlines()
    assert len(listed) == PROBLEMS_KEPT
    assert listed[0] == "a.csv!C2（户号 0001）：不是数字。请改正"
    assert listed[0] in told.message


def test_a_clean_import_is_only_a_note():
    told = import_event(SYSTEM, "到账清单", ImportResult("a.csv", "0" * 64, False, added=("r1",)), NOW)
    assert told.severity is Severity.INFO
    assert "problems" not in told.detail


def test_a_refused_file_is_told_without_the_personal_numbers_of_its_name():
    problem = Problem("13912345678.csv", "不是表格文件", "请另存")
    told = refusal_event(SYSTEM, "电费结算单", "13912345678.csv", [problem], NOW)
    assert told.severity is Severity.WARNING
    assert told.subject_id == "***.csv"
    assert "13912345678" not in told.message + str(told.detail)
