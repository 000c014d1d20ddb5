"""What forms of money share: one attempt in one transaction; amounts, days and photos."""

from collections.abc import Callable
from datetime import date
from typing import Annotated

from fastapi import Path, UploadFile
from sqlalchemy.orm import Session

from dashboards.files import ATTACHMENTS
from dashboards.web import Services
from distribution.money import parse_yuan
from documents.refusal import FileRefusedError
from monitoring.work_orders.orders import keep_photo
from store.problem import Problem, ProblemsError

REFUSED = 409
RecordId = Annotated[str, Path(pattern=r"^[a-z]+:[0-9a-f]{32}$")]
Sha256 = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


def attempt(services: Services, work: Callable[[Session], object]) -> tuple[Problem, ...]:
    """Do something in one transaction; returns what was wrong, in which case nothing has changed."""
    try:
        with services.database.transaction() as session:
            work(session)
    except ProblemsError as error:
        return tuple(error.problems)
    except FileRefusedError as error:
        return (Problem(error.where, error.what, error.how_to_fix),)
    except LookupError as error:
        return (Problem("所选记录", str(error), "请刷新页面后重新选择"),)
    return ()


def amount(text: str, where: str) -> int:
    """Return yuan as people write it as fen; raises ProblemsError."""
    try:
        return parse_yuan(text)
    except ValueError as error:
        raise ProblemsError([Problem(where, f"“{text[:40]}”不是金额", "请按元填写，至多两位小数")]) from error


def day(text: str, where: str) -> date:
    """Return a calendar day of a form; raises ProblemsError."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ProblemsError([Problem(where, f"“{text[:40]}”不是日期", "请写成 2026-10-05")]) from error


def photo(services: Services, upload: UploadFile | None) -> str:
    """Keep a photo of a form without its place and return its SHA-256; empty where none was given.

    Raises FileRefusedError when it is too large, or no whole JPEG or PNG.
    """
    if upload is None or not upload.filename:
        return ""
    return keep_photo(services.data_dir / ATTACHMENTS, upload.file.read()).sha256
