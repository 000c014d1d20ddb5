"""What an import leaves for people to see: one operational event, with the first problems in words.

Owns the wording for the command line and the import page alike. File names and cells are shown without
personal numbers.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from distribution.settlement.imports import ImportResult
from registry.actors import Actor
from store.events import Event, EventKind, Severity
from store.problem import Problem
from store.redaction import redact

PROBLEMS_KEPT = 20
_NAME_CHARACTERS = 128


def import_event(actor: Actor, what: str, result: ImportResult, now: datetime) -> Event:
    """Return the event of a finished import of `what` (电费结算单 …); its detail lists the first problems."""
    name = redact(result.file_name)
    message = (
        f"导入{what} {name}：新增 {len(result.added)}，修订 {len(result.revised)}，"
        f"不变 {len(result.unchanged)}，错误 {len(result.problems)}"
    )
    if result.problems:
        message += f"。第一处：{_words(result.problems[0], result.accounts)}"
    return _event(actor, (result.file_name, message), _detail(result.problems, result.accounts, result), now)


def refusal_event(
    actor: Actor, what: str, file_name: str, problems: Sequence[Problem], now: datetime
) -> Event:
    """Return the event of a file of which nothing could be used."""
    return _refusal(actor, (what, file_name), (problems, {}, None), now)


def nothing_usable_event(actor: Actor, what: str, result: ImportResult, now: datetime) -> Event:
    """Return the event of a file that was read, but has only bad rows."""
    return _refusal(actor, (what, result.file_name), (result.problems, result.accounts, result), now)


def _refusal(
    actor: Actor,
    file: tuple[str, str],
    found: tuple[Sequence[Problem], Mapping[str, str], ImportResult | None],
    now: datetime,
) -> Event:
    what, name = file
    problems, accounts, result = found
    message = f"{what} {redact(name)} 没有入库：{_words(problems[0], accounts)}"
    if len(problems) > 1:
        message += f"（共 {len(problems)} 处问题）"
    return _event(actor, (name, message), _detail(problems, accounts, result), now)


def _event(actor: Actor, told: tuple[str, str], detail: dict[str, str | int], now: datetime) -> Event:
    name, message = told
    return Event(
        at=now,
        kind=EventKind.IMPORT,
        severity=Severity.WARNING if "problems" in detail else Severity.INFO,
        subject_kind="file",
        subject_id=redact(name)[:_NAME_CHARACTERS],
        message=message,
        division_code=actor.area,
        detail=detail,
    )


def _detail(
    problems: Sequence[Problem], accounts: Mapping[str, str], result: ImportResult | None
) -> dict[str, str | int]:
    """Return the file's hash, and the first problems one a line."""
    detail: dict[str, str | int] = {"sha256": result.sha256} if result is not None else {}
    if problems:
        detail["problem_count"] = len(problems)
        detail["problems"] = "\n".join(_words(one, accounts) for one in problems[:PROBLEMS_KEPT])
    return detail


def _words(problem: Problem, accounts: Mapping[str, str]) -> str:
    """Return a problem with its cell, and the account number of its row unless the problem names it."""
    account = accounts.get(problem.where, "")
    named = f"（户号 {account}）" if account and account not in problem.what else ""
    return redact(f"{problem.where}{named}：{problem.what}。{problem.how_to_fix}")
