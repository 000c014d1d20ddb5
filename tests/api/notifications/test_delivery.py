"""From an alarm to a receiver and back: once when all is well, twice when somebody dies, never not."""

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from api.notifications.channels import Channels, read_webhooks
from api.notifications.delivery import deliver
from api.notifications.templates import shipped_templates
from api.notifications.webhook import Reach, Webhook
from monitoring.notifications.outbox import standing
from monitoring.notifications.policy import LEASE
from monitoring.notifications.subscriptions import Channel
from store.problem import ProblemsError
from tests.monitoring.conftest import NOON
from tests.monitoring.notifications.conftest import Office, device, station

HERE = Reach((), (IPv4Network("127.0.0.0/8"),))


@dataclass
class Moment:
    now: object = NOON

    def __call__(self):
        return self.now


def channels(*robots, timeout=2.0):
    names = ("zhiban", "zhiban2")
    template = shipped_templates()["wecom"]
    webhooks = {
        name: Webhook(name, one.url, template, "", timeout) for name, one in zip(names, robots, strict=False)
    }
    return Channels(webhooks=webhooks, reach=HERE)


def told(office: Office, name="zhiban"):
    office.subscribe("xian", channel=Channel.WEBHOOK, target=name)
    office.open(station("s1"))
    assert office.compose() == 1


def test_a_message_is_sent_once(office: Office, robot) -> None:
    told(office)
    clock = Moment()
    database = office.county.database
    assert deliver(database, clock, channels(robot)) == (1, 0)
    clock.now += timedelta(days=1)
    assert deliver(database, clock, channels(robot)) == (0, 0)
    assert len(robot.ids) == 1


def test_it_is_sent_when_the_receiver_is_well_again(office: Office, robot) -> None:
    told(office)
    robot.status = 500
    clock = Moment()
    database = office.county.database
    assert deliver(database, clock, channels(robot)) == (0, 1)
    assert deliver(database, clock, channels(robot)) == (0, 0)
    robot.status = 200
    clock.now += timedelta(minutes=1)
    assert deliver(database, clock, channels(robot)) == (1, 0)
    assert len(set(robot.ids)) == 1


def test_a_silent_receiver_is_asked_once_a_turn_and_others_go_on(office: Office, robot, free_port) -> None:
    for target in ("zhiban2", "zhiban2", "zhiban2", "zhiban"):
        office.subscribe("xian", channel=Channel.WEBHOOK, target=target)
    office.open(station("s1"))
    assert office.compose() == 4
    dead = Webhook("zhiban2", f"http://127.0.0.1:{free_port}/", shipped_templates()["wecom"], "", 1.0)
    well = channels(robot)
    sender = Channels(webhooks={**well.webhooks, "zhiban2": dead}, reach=HERE)
    assert deliver(office.county.database, Moment(), sender) == (1, 1)
    with office.county.database.reading() as session:
        assert standing(session).waiting == 3


CHILD = textwrap.dedent(
    """
    import sys
    from datetime import datetime
    from ipaddress import IPv4Network
    from api.notifications.channels import Channels
    from api.notifications.delivery import deliver
    from api.notifications.templates import shipped_templates
    from api.notifications.webhook import Reach, Webhook
    from api.schema import all_tables
    from store.db import open_database

    all_tables()
    database, url, now = open_database(sys.argv[1]), sys.argv[2], datetime.fromisoformat(sys.argv[3])
    hook = Webhook("zhiban", url, shipped_templates()["wecom"], "", 10.0)
    sender = Channels(webhooks={"zhiban": hook}, reach=Reach((), (IPv4Network("127.0.0.0/8"),)))
    print(deliver(database, lambda: now, sender))
    """
)


def test_a_sender_killed_between_sending_and_noting_sends_again_under_the_same_id(
    office: Office, robot
) -> None:
    told(office)
    url = office.county.database.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", CHILD, url, robot.url]
    child: list[subprocess.Popen[bytes]] = []

    def kill(count):
        if count == 1:
            os.kill(child[0].pid, signal.SIGKILL)

    robot.hook = kill
    where = Path(__file__).parents[3]
    child.append(subprocess.Popen([*command, NOON.isoformat()], cwd=where))
    assert child[0].wait(60) == -signal.SIGKILL
    clock = Moment(NOON + LEASE - timedelta(seconds=1))
    database = office.county.database
    assert deliver(database, clock, channels(robot)) == (0, 0)
    clock.now = NOON + LEASE
    assert deliver(database, clock, channels(robot)) == (1, 0)
    assert deliver(database, clock, channels(robot)) == (0, 0)
    assert len(robot.ids) == 2
    assert len(set(robot.ids)) == 1
    with office.county.database.reading() as session:
        assert standing(session).sent == 1


WEBHOOKS = """
[[webhook]]
name = "zhiban"
template = "wecom"
url = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=geheim"
"""


def _file(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    path = tmp_path / "webhooks.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_webhooks_are_read_from_a_file_that_only_the_owner_reads(tmp_path: Path) -> None:
    reach = Reach(("qyapi.weixin.qq.com",))
    assert list(read_webhooks(_file(tmp_path, WEBHOOKS), reach)) == ["zhiban"]
    assert read_webhooks(tmp_path / "none.toml", reach) == {}
    with pytest.raises(ProblemsError, match="chmod 600"):
        read_webhooks(_file(tmp_path, WEBHOOKS, 0o644), reach)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (WEBHOOKS + WEBHOOKS, "名称重复"),
        (WEBHOOKS.replace("wecom", "slack"), "没有模板 slack"),
        (WEBHOOKS.replace("qyapi.weixin.qq.com", "evil.example"), "不在允许的名单内"),
        (WEBHOOKS.replace("name", "nome"), "写得不对或缺少"),
        ("[[webhook", "读不了"),
    ],
)
def test_a_wrong_file_is_told_without_its_keys(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(ProblemsError) as refused:
        read_webhooks(_file(tmp_path, text), Reach(("qyapi.weixin.qq.com",)))
    words = str(refused.value)
    assert word in words
    assert "geheim" not in words


def test_devices_of_a_channel_that_is_not_configured_are_told_why(office: Office) -> None:
    office.subscribe("xian")
    office.open(device("s1i1"))
    office.compose()
    assert deliver(office.county.database, Moment(), Channels()) == (0, 1)
