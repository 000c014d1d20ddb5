"""A person's own notifications on their page: added, changed, tried, ended; nobody else's."""

import re

import pytest

from api.notifications.delivery import deliver
from monitoring.notifications.outbox import Message

PAGE = "/account/notifications"
FORM = {
    "channel": "email",
    "target": "zhou@example.cn",
    "severity": "major",
    "level": "0",
    "digest": "15",
    "quiet_from": "22:00",
    "quiet_until": "07:00",
    "urgent": "yes",
}


def add(browser, **fields):
    return browser.post(PAGE, **{**FORM, **fields})


def identifiers(browser):
    return re.findall(rf'action="{PAGE}/(\w+)/test"', browser.get(PAGE).text)


def test_a_wish_is_added_shown_in_words_changed_and_ended(browse):
    browser = browse("township")
    assert "还没有订阅通知" in browser.get(PAGE).text
    assert "我的通知" in browser.get("/account").text
    assert add(browser).status_code == 303
    page = browser.get(PAGE).text
    for words in (
        "电子邮件　zhou@example.cn", "本人辖区", "重要和更重的", "22:00 至 07:00，紧急的除外", "还没有发过",
        "不通知",
    ):  # fmt: skip
        assert words in page
    (one,) = identifiers(browser)
    form = browser.get(f"{PAGE}?change={one}").text
    assert 'value="zhou@example.cn"' in form
    assert "保存修改" in form
    assert add(browser, replaces=one, digest="1440", quiet_from="", quiet_until="").status_code == 303
    changed = browser.get(PAGE).text
    assert "每天早上 8 点汇总" in changed
    assert "<dd>没有</dd>" in changed
    (other,) = identifiers(browser)
    assert other != one
    assert browser.post(f"{PAGE}/{other}/end", page=PAGE).status_code == 303
    assert identifiers(browser) == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"target": "zhou"}, "不是邮箱地址"),
        ({"area": "110000000000"}, "不在本人辖区内"),
        ({"quiet_from": "22:00", "quiet_until": ""}, "不是时段"),
        ({"digest": "7"}, "不能整分一天"),
        ({"channel": "webhook", "target": "https://evil.example"}, "不是机器人的名称"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason_and_stays_in_the_form(browse, fields, told):
    browser = browse("village")
    answer = add(browser, **fields)
    assert answer.status_code == 409
    assert told in answer.text
    assert f'value="{fields.get("target", "zhou@example.cn")}"' in answer.text
    assert identifiers(browser) == []


class Server:
    """A sender that takes what it is given."""

    def __init__(self):
        self.taken = []

    def send(self, message: Message) -> None:
        self.taken.append(message)

    def server_of(self, message: Message) -> str:
        return message.channel


def test_a_test_goes_the_way_of_every_message_and_not_twice_a_minute(browse, county):
    browser = browse("finance")
    add(browser, target="sun@example.cn")
    (one,) = identifiers(browser)
    path = f"{PAGE}/{one}/test"
    assert browser.post(path, page=PAGE).status_code == 303
    assert "正在发送" in browser.get(PAGE).text
    again = browser.post(path, page=PAGE)
    assert again.status_code == 409
    assert "一分钟内刚发过" in again.text
    server = Server()
    assert deliver(county.database, county.services.clock, server) == (1, 0)
    assert (server.taken[0].target, "测试通知" in server.taken[0].subject) == ("sun@example.cn", True)
    assert "已送出" in browser.get(PAGE).text
    browser.post(f"{PAGE}/{one}/end", page=PAGE)


def test_another_ones_subscription_is_not_there(browse):
    owner, other = browse("finance"), browse("county")
    add(owner)
    (one,) = identifiers(owner)
    assert one not in other.get(PAGE).text
    assert other.get(f"{PAGE}?change={one}").status_code == 404
    for step in ("test", "end"):
        assert other.post(f"{PAGE}/{one}/{step}", page=PAGE).status_code == 404
    assert add(other, replaces=one).status_code == 404
    assert identifiers(owner) == [one]
    owner.post(f"{PAGE}/{one}/end", page=PAGE)
