"""How failures of resources are described to programs: problem+json (RFC 9457), and how to log in.

Owns the description, and that a change is asked for with a token; which failure becomes which answer is in
`api/errors.py`.
"""

from typing import Any

from fastapi import Request
from fastapi.security import HTTPBearer

from dashboards.web import ForgedRequestError

_TEXT = {"type": "string"}
_PROBLEM = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "发生了什么，怎么办"},
        "instance": {"type": "string", "description": "请求的地址"},
        "problems": {
            "type": "array",
            "description": "每一处不符合要求的地方",
            "items": {
                "type": "object",
                "required": ["where", "what", "how_to_fix"],
                "properties": {"where": _TEXT, "what": _TEXT, "how_to_fix": _TEXT},
            },
        },
    },
}
_WORDS = {
    400: "内容读不出",
    401: "没有登录，或会话已失效",
    403: "角色不能做这件事",
    404: "没有，或不在管辖范围内",
    422: "请求的内容有误",
    429: "尝试次数过多",
    503: "数据库暂时没有回应",
}

BEARER = HTTPBearer(
    scheme_name="session", description="POST /api/v1/session 给出的令牌，有效期同登录", auto_error=False
)
"""Says in the description that a token is needed; who may do what is the access rule of each route."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of the failures that a resource may answer with."""
    return {
        status: {
            "description": _WORDS[status],
            "content": {"application/problem+json": {"schema": _PROBLEM}},
        }
        for status in statuses
    }


def only_with_token(request: Request) -> None:
    """Refuse a change that comes with a cookie alone: another site may have made the browser ask."""
    if not request.headers.get("authorization", "").lower().startswith("bearer "):
        raise ForgedRequestError("a change is asked for with the token of a session")
