"""Work orders, announced work and dispatch over HTTP: rules, areas, problems, and the audit behind them."""

import base64
from datetime import timedelta

import pytest

from registry.audit import AuditEventRow
from tests.api.conftest import NOON, County
from tests.api.test_alarm_commands import stopped
from tests.documents.test_pictures import png


def _at(**later):
    return (NOON + timedelta(**later)).isoformat()


def _problem(answer, status=422):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return " ".join(one["what"] for one in answer.json().get("problems", []))


def _audited(services, kind):
    with services.database.reading() as session:
        rows = (
            session.query(AuditEventRow).filter(AuditEventRow.object_kind == kind).order_by(AuditEventRow.seq)
        )
        return [row.action for row in rows]


@pytest.fixture
def sent(services, http):
    """A work order that the county sent for an alarm."""
    alarm_id, station_id = stopped(services)
    order = {"station_id": station_id, "title": "到场检查", "due_at": _at(days=2), "alarm_id": alarm_id}
    answer = http("county", "POST", "/work-orders", json=order)
    assert answer.status_code == 201, answer.text
    return order, answer.json()


def test_an_order_lives_from_the_alarm_to_the_closing(services, http, sent) -> None:
    _order, made = sent
    path = f"/work-orders/{made['id']}/log"
    assert (made["state"], made["alarm_id"]) == ("dispatched", sent[0]["alarm_id"])

    def step(role, **entry):
        answer = http(role, "POST", path, json=entry)
        assert answer.status_code == 201, answer.text
        return answer.json()

    assert step("maintenance", action="accept")["state"] == "accepted"
    assert step("maintenance", action="note", note="缺风扇，已订货")["state"] == "accepted"
    assert step("county", action="extend", note="等配件", due_at=_at(days=4))["due_at"] > made["due_at"]
    photo = base64.b64encode(png()).decode()
    parts = [{"name": "散热风扇", "quantity": 2, "serial": "FS-204"}]
    done = step("maintenance", action="finish", note="已更换", photos=[photo], parts=parts)
    assert (done["state"], done["log"][-1]["parts"]) == ("done", ["散热风扇 × 2 FS-204"])
    assert len(done["log"][-1]["photos"]) == 1
    closed = step("county", action="close")
    assert (closed["state"], closed["in_time"]) == ("closed", True)
    assert [one["action"] for one in closed["log"]] == [
        "dispatch", "accept", "note", "extend", "finish", "close",
    ]  # fmt: skip
    assert _audited(services, "work_order")[-6:] == [one["action"] for one in closed["log"]]


def test_what_the_rules_forbid_is_a_problem_and_changes_nothing(http, sent) -> None:
    order, made = sent
    path = f"/work-orders/{made['id']}/log"
    assert "已经派了工单" in _problem(http("county", "POST", "/work-orders", json=order))
    past = {**order, "alarm_id": "", "due_at": _at(days=-1)}
    assert "已经过去" in _problem(http("county", "POST", "/work-orders", json=past))
    assert "辖区内没有" in _problem(http("county", "POST", "/work-orders", json={**order, "station_id": "?"}))
    assert "不能验收办结" in _problem(http("county", "POST", path, json={"action": "close"}))
    assert "要写明情况" in _problem(http("maintenance", "POST", path, json={"action": "finish"}))
    assert "不能再派" in _problem(http("county", "POST", path, json={"action": "dispatch"}))
    stale = {"action": "accept", "seen_seq": 7}
    assert "看最新情况" in _problem(http("maintenance", "POST", path, json=stale))
    broken = {"action": "note", "note": "见图", "photos": [base64.b64encode(b"no picture").decode()]}
    assert _problem(http("maintenance", "POST", path, json=broken))
    without_zone = {**order, "alarm_id": "", "due_at": "2026-12-01T08:00:00"}
    assert _problem(http("county", "POST", "/work-orders", json=without_zone))
    assert [one["action"] for one in http("county", "GET", f"/work-orders/{made['id']}").json()["log"]] == [
        "dispatch"
    ]


@pytest.mark.parametrize(
    ("role", "action", "status"),
    [("village", "accept", 403), ("maintenance", "close", 403), ("auditor", "note", 403)],
)
def test_a_step_needs_its_permission(http, sent, role, action, status) -> None:
    path = f"/work-orders/{sent[1]['id']}/log"
    _problem(http(role, "POST", path, json={"action": action, "note": "x"}), status)


def test_nobody_sends_orders_without_the_permission_and_none_is_found_outside(http, sent) -> None:
    for role in ("village", "maintenance", "auditor", "finance"):
        _problem(http(role, "POST", "/work-orders", json=sent[0]), 403)
    _problem(http("maintenance", "POST", "/work-orders/nichts/log", json={"action": "accept"}), 404)


def test_work_is_announced_before_it_begins_and_cancelled_with_a_reason(
    services, http, county: County
) -> None:
    work = {
        "subject_id": county.stations[0].id,
        "start": _at(days=1),
        "end": _at(days=1, hours=4),
        "description": "换汇流箱",
    }
    made = http("county", "POST", "/planned-work", json=work)
    assert made.status_code == 201, made.text
    work_id = made.json()["id"]
    assert work_id in {one["id"] for one in http("county", "GET", "/planned-work").json()}
    late = {**work, "start": _at(hours=-1)}
    assert "不算计划检修" in _problem(http("county", "POST", "/planned-work", json=late))
    assert "结束要晚于开始" in _problem(
        http("county", "POST", "/planned-work", json={**work, "end": work["start"]})
    )
    assert "辖区内没有" in _problem(http("county", "POST", "/planned-work", json={**work, "subject_id": "?"}))
    _problem(http("village", "POST", "/planned-work", json=work), 403)
    path = f"/planned-work/{work_id}/cancel"
    assert http("county", "POST", path, json={"reason": "改期"}).status_code == 204
    assert "不能再取消" in _problem(http("county", "POST", path, json={"reason": "再次"}))
    _problem(http("county", "POST", "/planned-work/nichts/cancel", json={"reason": "改期"}), 404)
    assert _audited(services, "planned_work")[-2:] == ["announce", "cancel"]


def test_dispatch_is_recorded_with_its_document_and_ended(services, http, county: County) -> None:
    order = {
        "subject_id": county.stations[0].id,
        "kind": "curtailment",
        "start": _at(hours=-2),
        "document": "调〔2026〕7号",
        "limit_percent": 30,
    }
    made = http("county", "POST", "/dispatch-records", json=order)
    assert made.status_code == 201, made.text
    assert (made.json()["kind_label"], made.json()["end"]) == ("限电", None)
    path = f"/dispatch-records/{made.json()['id']}/end"
    assert "不晚于开始" in _problem(http("county", "POST", path, json={"at": _at(hours=-3)}))
    assert http("county", "POST", path, json={"at": _at(hours=-1)}).status_code == 204
    (ended,) = [
        one for one in http("county", "GET", "/dispatch-records").json() if one["id"] == made.json()["id"]
    ]
    assert ended["end"].startswith("2026-11-25T03:30")
    assert http("county", "POST", path, json={"at": None}).status_code == 204
    assert made.json()["id"] not in {one["id"] for one in http("county", "GET", "/dispatch-records").json()}
    outside = {**order, "subject_id": "110000000000"}
    assert "辖区内没有" in _problem(http("township", "POST", "/dispatch-records", json=outside))
    assert _problem(http("county", "POST", "/dispatch-records", json={**order, "document": " "}))
    assert _problem(http("county", "POST", "/dispatch-records", json={**order, "document": "a\x00b"}))
    _problem(http("village", "POST", "/dispatch-records", json=order), 403)
    _problem(http("county", "POST", "/dispatch-records/nichts/end", json={"at": None}), 404)
    assert _audited(services, "dispatch_record")[-3:] == ["record", "end", "withdraw"]


def test_without_a_token_nothing_is_sent(programs, sent) -> None:
    for path, given in (("", sent[0]), (f"/{sent[1]['id']}/log", {"action": "accept"})):
        answer = programs["public"].ask("POST", f"/api/v1/work-orders{path}", json=given)
        assert answer.status_code in {401, 403}
