"""How operator commands reach a running service that owns the stores.

A running service leaves its address and a random token in the data directory, readable by its own user
only; whoever can read that file may run operations. Owns the door (route and client), not the operations.
"""

import hmac
import json
import os
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request

from api.operations import OPERATIONS
from api.outcome import Outcome
from store.problem import Problem, ProblemsError

FILE_NAME = "control.json"
HEADER = "X-Sunledger-Control"

router = APIRouter(include_in_schema=False)


def open_door(data_dir: Path, port: int) -> str:
    """Write the address and a fresh token for operator commands; returns the token."""
    token = secrets.token_urlsafe(32)
    path = data_dir / FILE_NAME
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"port": port, "token": token, "pid": os.getpid()}, file)
    return token


def shut_door(data_dir: Path) -> None:
    """Remove the address, so that the next command opens the stores itself."""
    (data_dir / FILE_NAME).unlink(missing_ok=True)


@router.post("/control/{operation}")
def run_operation(operation: str, arguments: dict[str, Any], request: Request) -> dict[str, Any]:
    """Run one operation for a command on this machine that holds the token of the data directory."""
    expected = request.app.state.control_token
    if not expected or not hmac.compare_digest(request.headers.get(HEADER, ""), expected):
        raise HTTPException(404)
    if operation not in OPERATIONS:
        raise HTTPException(404)
    try:
        return OPERATIONS[operation](request.app.state.services, **arguments).as_json()
    except ProblemsError as error:
        return Outcome.refused(error.problems).as_json()


def ask_running_service(data_dir: Path, operation: str, arguments: Mapping[str, Any]) -> Outcome | None:
    """Run an operation in the service that owns the data directory; None where no service runs.

    Raises ProblemsError when a service holds the directory but does not answer as it should.
    """
    try:
        door = json.loads((data_dir / FILE_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, PermissionError, json.JSONDecodeError):
        return None
    request = urllib.request.Request(
        f"http://127.0.0.1:{door['port']}/control/{operation}",
        data=json.dumps(dict(arguments)).encode(),
        headers={HEADER: door["token"], "Content-Type": "application/json"},
        method="POST",
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request) as answer:
            return Outcome.from_json(json.load(answer))
    except urllib.error.HTTPError as error:
        raise ProblemsError(
            [
                Problem(
                    str(data_dir),
                    f"正在运行的服务没有执行这个命令（HTTP {error.code}）",
                    "重新启动服务后再试",
                )
            ]
        ) from error
    except urllib.error.URLError:
        return None
