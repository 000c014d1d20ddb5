"""Style, script and icon files, and the switch to large type.

Owns how static files are cached: a name that holds its hash for a year, any other not at all.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from dashboards.assets import URL_PREFIX, asset_file
from dashboards.web import (
    LARGE_TYPE_COOKIE,
    NotFoundError,
    check_form,
    local_path,
    open_to_all,
    redirect,
    services_of,
)

router = APIRouter(include_in_schema=False)
_YEAR_SECONDS = 365 * 86_400


@router.get(f"{URL_PREFIX}/{{name}}", dependencies=[Depends(open_to_all("样式和脚本不含数据"))])
def static_file(name: str) -> Response:
    """Serve one asset."""
    found = asset_file(name)
    if found is None:
        raise NotFoundError(name)
    path, hashed = found
    cache = f"public, max-age={_YEAR_SECONDS}, immutable" if hashed else "no-cache"
    return FileResponse(path, headers={"Cache-Control": cache})


@router.post("/display", dependencies=[Depends(open_to_all("只改变本浏览器的字号")), Depends(check_form)])
def set_display(
    request: Request, back: Annotated[str, Form()] = "/", large: Annotated[str, Form()] = ""
) -> RedirectResponse:
    """Remember whether this browser shows large type, and go back to the page."""
    response = redirect(local_path(back))
    response.set_cookie(
        LARGE_TYPE_COOKIE,
        "1" if large else "0",
        max_age=_YEAR_SECONDS,
        samesite="lax",
        httponly=True,
        secure=services_of(request).secure_cookies,
    )
    return response
