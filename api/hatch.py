"""Answers operator commands about the queue in a collector that runs without the web.

Owns a listener on this machine that knows the operations on the queue and nothing else; the operations are
`api.operations.collecting`'s, the file that tells its address `api.door`'s.
"""

import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from api.door import COLLECTOR_FILE, HEADER, open_door, shut_door
from api.operations.collecting import SPOOL_OPERATIONS
from api.outcome import Outcome
from collector.spool import Spool
from dashboards.web import Services
from store.problem import ProblemsError

HOST = "127.0.0.1"
LONGEST_REQUEST = 65_536
PREFIX = "/control/"
WAIT_SECONDS = 30.0


class _Hatch(ThreadingHTTPServer):
    """The listener, with what the operations want."""

    daemon_threads = True

    def __init__(self, services: Services, spool: Spool) -> None:
        super().__init__((HOST, 0), _Handler)
        self.services, self.spool, self.token = services, spool, ""


class _Handler(BaseHTTPRequestHandler):
    server: _Hatch
    timeout = WAIT_SECONDS

    def do_POST(self) -> None:
        """Run one operation for a command on this machine that holds the token of the data directory."""
        length = self.headers.get("Content-Length", "")
        known = hmac.compare_digest(self.headers.get(HEADER, "").encode(), self.server.token.encode())
        name = self.path.removeprefix(PREFIX)
        sound = length.isascii() and length.isdecimal() and int(length) <= LONGEST_REQUEST
        if not known or not sound or name not in SPOOL_OPERATIONS:
            self.send_error(404)
            return
        body = json.dumps(self._outcome(name, json.loads(self.rfile.read(int(length)))).as_json()).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _outcome(self, name: str, arguments: dict[str, Any]) -> Outcome:
        try:
            return SPOOL_OPERATIONS[name](self.server.services, self.server.spool, **arguments)
        except ProblemsError as error:
            return Outcome.refused(error.problems)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, the name is the library's
        """Say nothing: what an operation did stands in its answer."""


@contextmanager
def hatch(services: Services, spool: Spool) -> Iterator[None]:
    """Answer commands about the queue while the block runs."""
    listener = _Hatch(services, spool)
    thread = threading.Thread(target=listener.serve_forever, name="collector hatch", daemon=True)
    listener.token = open_door(services.data_dir, HOST, listener.server_port, COLLECTOR_FILE)
    thread.start()
    try:
        yield
    finally:
        shut_door(services.data_dir, listener.token, COLLECTOR_FILE)
        listener.shutdown()
        listener.server_close()
        thread.join()
