"""How operator commands find a running service that owns the stores, or a collector that owns its queue.

Each leaves its address and a random token in the data directory, readable by its own user only; whoever can
read that file may run operations. Owns these files and the asking; the answering is `api.control` and
`api.hatch`.
"""

import http.client
import json
import os
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from api.outcome import Outcome
from store.problem import Problem, ProblemsError

FILE_NAME = "control.json"
COLLECTOR_FILE = "collector.json"
"""Where a collector that runs without the web leaves its address."""
HEADER = "X-Sunledger-Control"
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104, names what is listened on, listens on nothing


def open_door(data_dir: Path, host: str, port: int, file_name: str = FILE_NAME) -> str:
    """Write the address and a fresh token for operator commands; returns the token."""
    token = secrets.token_urlsafe(32)
    path = data_dir / file_name
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"address": f"{_reachable(host)}:{port}", "token": token, "pid": os.getpid()}, file)
    return token


def _reachable(host: str) -> str:
    """Return where a service that listens on `host` answers on this machine."""
    if host in ANYWHERE:
        return ANYWHERE[host]
    return f"[{host}]" if ":" in host else host


def shut_door(data_dir: Path, token: str, file_name: str = FILE_NAME) -> None:
    """Remove the address that `open_door` left, so that the next command opens the stores itself.

    The address of a service that was started meanwhile on the same directory stays.
    """
    door = _door(data_dir, file_name)
    if door is not None and door["token"] == token:
        (data_dir / file_name).unlink(missing_ok=True)


def _door(data_dir: Path, file_name: str) -> dict[str, Any] | None:
    try:
        door: dict[str, Any] = json.loads((data_dir / file_name).read_text(encoding="utf-8"))
    except (FileNotFoundError, PermissionError, json.JSONDecodeError):
        return None
    return door if {"address", "token", "pid"} <= door.keys() else None


def _has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def ask_running_service(
    data_dir: Path, operation: str, arguments: Mapping[str, Any], file_name: str = FILE_NAME
) -> Outcome | None:
    """Run an operation in the service that owns the data directory; None where no service runs.

    Raises ProblemsError when a service holds the directory but does not answer as it should.
    """
    door = _door(data_dir, file_name)
    if door is None or _has_ended(door["pid"]):
        return None
    request = urllib.request.Request(
        f"http://{door['address']}/control/{operation}",
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
    except (http.client.HTTPException, ConnectionError) as error:
        how = "服务重新启动后再运行一次，重复运行不会重复入账"
        raise ProblemsError([Problem(str(data_dir), "服务中途停止，这个命令可能没有做完", how)]) from error
