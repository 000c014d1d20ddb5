"""HTTP codes, in one place: which failure becomes which answer.

Owns the mapping from typed exceptions to problem+json (RFC 9457) for the API and to a Chinese page for
people. Nothing of an internal failure is shown but a number under which the log has it.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from dashboards.web import (
    ForgedRequestError,
    LoginRequiredError,
    NotFoundError,
    error_page,
    redirect,
)
from registry.actors import NotPermittedError
from store.problem import Problem, ProblemsError
from store.series import SeriesUnavailableError

API_PREFIX = "/api/"
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a failure is answered: status, title, what happened, what to do."""

    status: int
    title: str
    what: str
    how_to_fix: str
    problems: tuple[Problem, ...] = ()


_BY_STATUS = {
    400: ("请求读不出", "请求的内容读不出。", "检查内容的格式和编码（UTF-8）后再提交。"),
    401: ("请先登录", "这里的内容需要登录后查看。", "登录后再试。"),
    403: ("没有权限", "您的角色不能做这件事。", "请联系县里的管理员。"),
    404: ("没有找到", "没有这一页，或者它不在您的管辖范围内。", "检查地址，或从首页重新进入。"),
    405: ("不能这样访问", "这个地址不接受这种请求。", "从页面上的按钮或链接进入。"),
    413: ("文件太大", "上传的内容超过了上限。", "把文件控制在 10 MB 以内，或分成几个文件。"),
    503: ("暂时不能使用", "数据库没有回应。", "稍后再试；若一直如此，请通知维护人员。"),
}
_TITLE_OF_ANY = ("请求不能处理", "服务器不能处理这个请求。", "返回上一页再试。")


def _of_status(status: int) -> Answer:
    return Answer(status, *_BY_STATUS.get(status, _TITLE_OF_ANY))


def _of_problems(error: ProblemsError) -> Answer:
    first = error.problems[0] if error.problems else Problem("请求", str(error), "改正后再试")
    return Answer(422, "内容有误", f"{first.where}：{first.what}", first.how_to_fix, error.problems)


def _of_absent_series(error: SeriesUnavailableError) -> Answer:
    logger.warning("the series store is away", reason=str(error))
    return Answer(
        503,
        "时序库暂时不能用",
        "存放发电数据的时序库没有回应，要用发电数据的页面暂时看不了；结算、分配和发放不受影响。",
        "采集到的数据在采集队列里等待，不会丢失。稍后再试；若一直如此，请通知维护人员检查时序服务器。",
    )


_PLACES = {"query": "参数", "path": "地址", "body": "内容", "header": "请求头", "cookie": "Cookie"}
_WRONG = {
    "missing": "缺少这一项",
    "string_pattern_mismatch": "写法不对",
    "string_too_long": "太长，最多 {max_length} 个字",
    "string_too_short": "太短，至少 {min_length} 个字",
    "string_type": "应是文字",
    "int_parsing": "应是整数",
    "int_parsing_size": "这个整数太大",
    "bool_parsing": "应是 true 或 false",
    "json_invalid": "不是正确的 JSON",
    "model_attributes_type": "应是一个对象，含各项的名称和值",
}


def _in_words(item: Mapping[str, Any]) -> Problem:
    """Say what is wrong, without repeating what was given: it may be a password."""
    place, *names = (str(part) for part in item["loc"])
    where = f"{_PLACES.get(place, place)} {'.'.join(names)}".strip()
    what = _WRONG.get(item["type"], "不符合要求").format_map(item.get("ctx", {}))
    return Problem(where, what, "对照接口说明改正")


def _of_validation(error: RequestValidationError) -> Answer:
    problems = tuple(_in_words(item) for item in error.errors())
    return Answer(422, "内容有误", f"有 {len(problems)} 处不符合要求", "改正后再提交", problems)


def problem_json(request: Request, answer: Answer) -> JSONResponse:
    """Return an answer as application/problem+json."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": answer.title,
        "status": answer.status,
        "detail": f"{answer.what.rstrip('。')}。{answer.how_to_fix}",
        "instance": request.url.path,
    }
    if answer.problems:
        content["problems"] = [
            {"where": item.where, "what": item.what, "how_to_fix": item.how_to_fix}
            for item in answer.problems
        ]
    return JSONResponse(content, answer.status, media_type="application/problem+json")


def answer_with(request: Request, answer: Answer) -> Response:
    """Return an answer as problem+json below /api/, as a page elsewhere."""
    if request.url.path.startswith(API_PREFIX):
        return problem_json(request, answer)
    return error_page(
        request, status=answer.status, title=answer.title, what=answer.what, how_to_fix=answer.how_to_fix
    )


def answer_for_status(request: Request, status: int) -> Response:
    """Return the usual answer for an HTTP status."""
    return answer_with(request, _of_status(status))


def _handler(
    make: Callable[[Any], Answer],
) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        return answer_with(request, make(error))

    return handle


async def _login_required(request: Request, _error: Exception) -> Response:
    if request.url.path.startswith(API_PREFIX):
        return problem_json(request, _of_status(401))
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return redirect("/login", back=here if request.method == "GET" else "/")


async def _unexpected(request: Request, error: Exception) -> Response:
    number = secrets.token_hex(4)
    logger.error("unexpected failure", number=number, path=request.url.path, exc_info=error)
    answer = Answer(
        500, "出了故障", f"这一步没有完成，编号 {number}。", "什么都没有改变；请把编号告诉维护人员。"
    )
    return answer_with(request, answer)


def install(application: FastAPI) -> None:
    """Give an application its answers to every failure."""
    handlers: dict[type[Exception], Callable[..., Awaitable[Response]]] = {
        ProblemsError: _handler(_of_problems),
        RequestValidationError: _handler(_of_validation),
        HTTPException: _handler(lambda error: _of_status(error.status_code)),
        NotFoundError: _handler(lambda _error: _of_status(404)),
        NotPermittedError: _handler(lambda _error: _of_status(403)),
        ForgedRequestError: _handler(
            lambda _error: Answer(
                403, "页面已失效", "这个表单不是从当前登录的页面提交的。", "刷新页面后再提交一次。"
            )
        ),
        OperationalError: _handler(lambda _error: _of_status(503)),
        SeriesUnavailableError: _handler(_of_absent_series),
        LoginRequiredError: _login_required,
        Exception: _unexpected,
    }
    for kind, handler in handlers.items():
        application.add_exception_handler(kind, handler)
