"""Where the MQTT ingest tells what it has: spool, status board and operational events.

Owns the words of these events and what they do to a device's status. It decides nothing about a message.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from collector.connections import DeviceLink, LinkState, StatusBoard
from collector.delivery import Rejected
from collector.notices import Throttle
from collector.routes import Heard
from collector.settings import MqttSettings
from collector.spool import Spool
from store.events import Event, EventKind, Severity


class Outlet:
    """Where the ingest puts what it has: the spool, the status board and the events."""

    def __init__(self, spool: Spool, board: StatusBoard, events: Throttle) -> None:
        self.spool = spool
        self._board = board
        self._events = events

    def heard(self, links: Iterable[DeviceLink], now: datetime) -> None:
        """Note on the board that these devices have spoken."""
        for link in links:
            status = self._board.get(link.device_id)
            if status is not None:
                self._board.put(
                    replace(
                        status,
                        state=LinkState.GOOD,
                        last_good_at=now,
                        messages=status.messages + 1,
                        failures=0,
                        failing_since=None,
                    )
                )

    def refused(self, rejected: Sequence[Rejected], now: datetime) -> None:
        """Tell about messages in quarantine, once an hour for each topic and reason."""
        for item in rejected:
            self._events.tell(
                Event(
                    at=now,
                    kind=EventKind.QUARANTINE,
                    severity=Severity.WARNING,
                    subject_kind="topic",
                    subject_id=item.source[:128],
                    message=f"消息不能用，已隔离：{item.reason}",
                    detail={"size": len(item.raw)},
                ),
                item.reason[:40],
            )

    def misconfigured(self, link: DeviceLink, problem: str, now: datetime) -> None:
        """Show a device whose mapping cannot be used."""
        status = self._board.get(link.device_id)
        if status is not None:
            self._board.put(
                replace(status, state=LinkState.MISCONFIGURED, last_error=problem, last_error_at=now)
            )
        self._events.tell(
            Event(
                at=now,
                kind=EventKind.COMMUNICATION,
                severity=Severity.ERROR,
                subject_kind="device",
                subject_id=link.device_id,
                message=f"设备接入配置有误：{problem}",
                division_code=link.division_code,
            ),
            "misconfigured",
        )

    def tell_broker(self, settings: MqttSettings, severity: Severity, message: str, now: datetime) -> None:
        """Tell how the session with the broker is doing."""
        place = f"{settings.host}:{settings.port}"
        self._events.tell(
            Event(
                at=now,
                kind=EventKind.COMMUNICATION,
                severity=severity,
                subject_kind="broker",
                subject_id=place,
                message=f"{message}（{place}）",
            ),
            message[:40],
        )

    def noticed(self, heard: Heard, now: datetime) -> None:
        """Tell what a message said about devices: gone, messages lost on the way, a clock that is wrong."""
        for link in heard.departed:
            self._departed(link, now)
        for node in heard.gaps:
            message = "消息序号不连续：边缘节点到服务器之间丢了消息"
            event = Event(now, EventKind.COMMUNICATION, Severity.WARNING, "topic", node[:128], message)
            self._events.tell(event, "sequence")
        for device_id, behind in heard.clocks.items():
            lag = (
                f"设备时钟慢 {behind / 3600:.2f} 小时，以收到时间为准或标记为可疑"
                if behind
                else "设备时钟恢复正常"
            )
            severity = Severity.WARNING if behind else Severity.INFO
            self._events.tell(
                Event(now, EventKind.CLOCK, severity, "device", device_id, lag), f"clock {behind}"
            )

    def _departed(self, link: DeviceLink, now: datetime) -> None:
        reason = "边缘节点报告设备离线"
        status = self._board.get(link.device_id)
        if status is not None:
            self._board.put(
                replace(
                    status,
                    state=LinkState.FAILING,
                    last_error=reason,
                    last_error_at=now,
                    failures=status.failures + 1,
                    failing_since=status.failing_since or now,
                )
            )
        self._events.tell(
            Event(
                at=now,
                kind=EventKind.COMMUNICATION,
                severity=Severity.WARNING,
                subject_kind="device",
                subject_id=link.device_id,
                message=reason,
                division_code=link.division_code,
            ),
            "departed",
        )

    def dropped(self, count: int, now: datetime) -> None:
        """Tell that the oldest samples were dropped because the spool is at its cap."""
        message = f"采集队列已满，丢弃最旧的 {count} 条数据"
        event = Event(now, EventKind.DROP, Severity.ERROR, "collector", "spool", message)
        self._events.tell(event, message[:10])
