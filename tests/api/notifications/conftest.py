"""Real receivers of messages: a mail server and a small HTTP server, each on a free port."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from monitoring.notifications.outbox import Message
from monitoring.notifications.subscriptions import Channel
from tests.monitoring.conftest import county
from tests.monitoring.notifications.conftest import office

__all__ = ["county", "office"]


@dataclass
class Robot:
    """An HTTP server that keeps what it is sent and answers as it is told: status, body, delay [s]."""

    server: ThreadingHTTPServer
    received: list[tuple[str, dict[str, str], dict]] = field(default_factory=list)
    status: int = 200
    answer: bytes = b'{"errcode": 0, "errmsg": "ok"}'
    delay: float = 0.0
    hook: object = None
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/robot/send?key=geheim"

    @property
    def ids(self):
        return [headers["X-Message-Id"] for _path, headers, _body in self.received]


def _handler(robot_of):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            robot = robot_of()
            body = self.rfile.read(int(self.headers["Content-Length"]))
            robot.received.append((self.path, dict(self.headers), json.loads(body)))
            if robot.hook is not None:
                robot.hook(len(robot.received))
            if robot.delay:
                robot.released.wait(robot.delay)
            self.send_response(robot.status)
            if robot.status in {301, 302, 307}:
                self.send_header("Location", robot.url)
            self.end_headers()
            self.wfile.write(robot.answer)

        def log_message(self, *_arguments):
            pass

    return Handler


@pytest.fixture
def robot() -> Iterator[Robot]:
    held = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(lambda: held[0]))
    held.append(Robot(server))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield held[0]
    held[0].released.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def message() -> Message:
    return Message(
        "message_1", Channel.WEBHOOK, "zhiban", "【测试账本】城关镇 告警：新发生 1 条",
        "【城关镇】新发生\n· [紧急] 石坝村 2 号逆变器 停机 3 天 4 小时，约少收 186 元", 1, 1,
    )  # fmt: skip
