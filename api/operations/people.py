"""The registry's lists in, for operators: stations, households, members, enrolments."""

from pathlib import Path

from api.outcome import Exit, Outcome
from dashboards.web import Services
from registry.actors import Actor, Role
from registry.intake.service import Upload, commit, preview
from registry.secrets import open_key_ring
from store.problem import Problem, ProblemsError

OPERATOR = Actor("operator", "命令行操作员", Role.COUNTY)
PROBLEMS_SHOWN = 50


def registry(
    services: Services, *, file: str, kind: str, dry_run: bool = False, partial: bool = False
) -> Outcome:
    """Take in a list (CSV or Excel); nothing is taken unless every row is good, or `partial` is said."""
    path = Path(file)
    try:
        upload = Upload(kind, path.name, path.read_bytes(), partial=partial)
    except OSError as error:
        raise ProblemsError([Problem(file, f"读不了：{error.strerror}", "检查路径和权限")]) from error
    ring = open_key_ring(services.data_dir)
    now = services.clock()
    with services.database.reading() as session:
        look = preview(session, OPERATOR, ring, upload, now)
    problems = look.all_problems
    refused = bool(look.problems) or bool(problems and not partial)
    if dry_run or refused:
        words = "试导" if dry_run else "没有导入"
        exit_code = Exit.REFUSED if refused and not dry_run else Exit.FOUND if problems else Exit.DONE
        return Outcome(f"{words} {path.name}：{look.summary}", {}, (), problems[:PROBLEMS_SHOWN], exit_code)
    with services.database.transaction() as session:
        batch = commit(session, OPERATOR, ring, upload, now)
    exit_code = Exit.FOUND if problems else Exit.DONE
    summary = f"已导入 {path.name}：{look.summary}；批次 {batch.id}"
    return Outcome(summary, {}, (), problems[:PROBLEMS_SHOWN], exit_code)
