"""What the demo county did about its faults: alarms with their end, work orders, planned work, dispatch.

Owns the played past of running. Alarms go through `monitoring.alarms`, orders through
`monitoring.work_orders`, each on its day on a simulated clock; what still lasts is left open, so that the
living county goes on with it. It is played once, with the past months.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from api.demo.office import Office
from api.demo.photo import inverter_photo
from api.demo.story import Fact, FactKind
from dashboards.files import ATTACHMENTS
from monitoring.alarms.acknowledging import acknowledge
from monitoring.alarms.conditions.findings import Finding, Standing, Subject
from monitoring.alarms.kinds import AlarmKind, AlarmSeverity, SubjectKind
from monitoring.alarms.lifecycle import Pass
from monitoring.alarms.rules import rule_book
from monitoring.calendar.dispatch import DispatchKind, DispatchRecord, record_dispatch
from monitoring.calendar.planned import announce
from monitoring.work_orders.orders import Entry, NewOrder, Part, act, keep_photo, open_order
from monitoring.work_orders.states import Action
from registry.stations import Device, Station
from store.periods import SHANGHAI, Period, local_date, local_midnight

NOTICED = timedelta(minutes=40)
WEAK_NOTICED = timedelta(days=12)
"""How long before the demo begins somebody finds the inverter that has been weak for long."""
HOUR = timedelta(hours=1)
CLEANED_A_MONTH = 6
CLEANING_MONTHS = 3


@dataclass(frozen=True, slots=True)
class _Told:
    """How a kind of fact is told: the family and kind of its alarm, how grave, what is ordered and done."""

    family: str
    kind: AlarmKind
    severity: AlarmSeverity
    work: str = ""
    done: str = ""
    parts: tuple[Part, ...] = ()


_STANDSTILL, _GRID, _COMMUNICATION = "standstill", "grid", "communication"
_TOLD = {
    FactKind.STATION_DOWN: _Told(
        _STANDSTILL,
        AlarmKind.OUTAGE,
        AlarmSeverity.CRITICAL,
        "全站停机，到场检查",
        "查明原因，更换损坏件，测绝缘合格后并网，发电正常",
        (Part("交流断路器", 1, "NB-4P-160"),),
    ),
    FactKind.INVERTER_DOWN: _Told(
        _STANDSTILL,
        AlarmKind.OUTAGE,
        AlarmSeverity.MAJOR,
        "逆变器停机，到场检查风扇",
        "更换散热风扇，并网正常",
        (Part("散热风扇", 2, "FS-204"),),
    ),
    FactKind.INVERTER_REPLACED: _Told(
        _STANDSTILL,
        AlarmKind.OUTAGE,
        AlarmSeverity.MAJOR,
        "逆变器烧毁，按质保更换",
        "厂家质保更换整机，新机序列号已登记，计数从零开始",
        (Part("组串式逆变器", 1),),
    ),
    FactKind.COMMUNICATION_GAP: _Told(
        _COMMUNICATION,
        AlarmKind.COMMUNICATION,
        AlarmSeverity.MAJOR,
        "通信中断，检查采集终端和流量卡",
        "流量卡欠费，续费后恢复，补传数据完整",
        (),
    ),
    FactKind.TOWNSHIP_OUTAGE: _Told(_GRID, AlarmKind.GRID_OUTAGE, AlarmSeverity.MAJOR),
    FactKind.GRID_OUTAGE: _Told(_GRID, AlarmKind.GRID_OUTAGE, AlarmSeverity.MAJOR),
    FactKind.WEAK_INVERTER: _Told(
        "low_yield",
        AlarmKind.LOW_YIELD,
        AlarmSeverity.MINOR,
        "发电长期偏低，检查组串接头",
        "已紧固两路组串接头，请县里看几天",
    ),
}


def play_upkeep(office: Office, until: datetime) -> None:
    """Play what was done about the story's faults up to `until` [UTC], in one transaction."""
    with office.database.transaction() as session:
        for fact in sorted(office.county.story.facts, key=_by_start):
            told = _TOLD.get(fact.kind)
            if told is not None and fact.start + NOTICED < until:
                for subject in _subjects(office, fact):
                    _play(session, office, (fact, told, subject), until)
        _play_cleaning(session, office, until)
        _play_calendar(session, office, until)


def _in_office(moment: datetime) -> datetime:
    """Return a moment brought into the hours in which people work, 8:30 to 18:00."""
    local = moment.astimezone(SHANGHAI)
    morning = local_midnight(local.date()) + timedelta(hours=8, minutes=30)
    if local.hour >= 18:  # noqa: PLR2004, the end of the working day
        return morning + timedelta(days=1)
    return max(moment, morning)


def _by_start(fact: Fact) -> tuple[datetime, str]:
    return fact.start, fact.text


def _devices_of(office: Office, fact: Fact) -> list[Device]:
    wanted = set(office.county.concerned(fact))
    return [one for one in office.county.devices if one.id in wanted and one.kind == "inverter"]


def _subjects(office: Office, fact: Fact) -> Iterator[tuple[Subject, Station, Device | None]]:
    """Yield what a fact's alarms are about: one inverter, or each station that is concerned as a whole."""
    places = {one.id: one for one in office.county.stations}
    found = _devices_of(office, fact)
    whole = fact.kind not in {FactKind.INVERTER_DOWN, FactKind.INVERTER_REPLACED, FactKind.WEAK_INVERTER}
    if fact.kind is FactKind.TOWNSHIP_OUTAGE:
        yield _township(office, found), places[found[0].station_id], None
    elif whole:
        place = places[found[0].station_id]
        yield Subject.of_station(place), place, None
    else:
        yield Subject.of_device(found[0], places[found[0].station_id]), places[found[0].station_id], found[0]


def _township(office: Office, found: list[Device]) -> Subject:
    code = office.county.township_codes[0]
    return Subject(SubjectKind.DIVISION, code, code, power_w=sum(one.rated_power_w for one in found))


def _play(
    session: Session,
    office: Office,
    what: tuple[Fact, _Told, tuple[Subject, Station, Device | None]],
    until: datetime,
) -> None:
    fact, told, (subject, place, device) = what
    weak = fact.kind is FactKind.WEAK_INVERTER
    noticed = max(fact.start, until - WEAK_NOTICED) if weak else fact.start + NOTICED
    alarm_id = _open_alarm(session, (fact, told, subject), noticed)
    ended = fact.end <= until
    if told.work:
        answered = _in_office(noticed + HOUR)
        if answered < until and not (fact.kind is FactKind.COMMUNICATION_GAP and not ended):
            acknowledge(session, office.actor("demo_clerk"), alarm_id, "已通知运维公司", answered)
            order = NewOrder(
                place.id,
                told.work,
                answered + 72 * HOUR,
                device.id if device else "",
                alarm_id,
                fact.text,
            )
            order_id = open_order(session, office.actor("demo_clerk"), order, answered)
            _handle(session, office, (order_id, told, fact), (answered, until))
    elif noticed + HOUR < until:
        acknowledge(session, office.actor("demo_clerk"), alarm_id, "已问供电公司，线路检修", noticed + HOUR)
    if ended:
        _close_alarm(session, (fact, told, subject), fact.end)


def _open_alarm(session: Session, what: tuple[Fact, _Told, Subject], now: datetime) -> str:
    fact, told, subject = what
    found = Finding(
        subject.key(told.family),
        told.kind,
        subject,
        Standing.ON,
        told.severity,
        cause=fact.text,
        since=max(fact.start, now - NOTICED),
    )
    changes = Pass(session, rule_book(session, local_date(now)), now, ()).read().apply([found])
    return changes[0].alarm_id


def _close_alarm(session: Session, what: tuple[Fact, _Told, Subject], now: datetime) -> None:
    _fact, told, subject = what
    over = Finding(subject.key(told.family), told.kind, subject, Standing.OFF, told.severity)
    Pass(session, rule_book(session, local_date(now)), now, ()).read().apply([over])


def _handle(
    session: Session, office: Office, what: tuple[str, _Told, Fact], span: tuple[datetime, datetime]
) -> None:
    """Let the company accept, finish and the county close an order, as far as there was time for it."""
    order_id, told, fact = what
    answered, until = span
    worker, leader = office.actor("demo_worker"), office.actor("demo_leader")
    accepted = _in_office(answered + 3 * HOUR)
    if accepted < until:
        act(session, worker, order_id, Entry(Action.ACCEPT), accepted)
    if fact.kind is FactKind.WEAK_INVERTER:
        _weak(session, office, order_id, (told, accepted, until))
    elif fact.end <= until and fact.end > accepted:
        folder = office.data_dir / ATTACHMENTS
        photo = keep_photo(folder, inverter_photo(office.county.seed, len(fact.text)))
        done = Entry(Action.FINISH, told.done, photos=(photo,), parts=told.parts)
        act(session, worker, order_id, done, fact.end)
        closed = _in_office(fact.end + 20 * HOUR)
        if closed < until:
            act(session, leader, order_id, Entry(Action.CLOSE, "现场照片和曲线已核对"), closed)
    elif (looked := _in_office(accepted + 22 * HOUR)) < until:
        act(session, worker, order_id, Entry(Action.NOTE, "现场已查，等配件到货"), looked)


def _weak(session: Session, office: Office, order_id: str, told: tuple[_Told, datetime, datetime]) -> None:
    """Play an order whose work did not help: done, looked at, and sent back."""
    words, accepted, until = told
    steps = (
        (office.actor("demo_worker"), Entry(Action.FINISH, words.done), _in_office(accepted + 30 * HOUR)),
        (
            office.actor("demo_leader"),
            Entry(Action.SEND_BACK, "三天来仍比同镇电站低一成，请再查"),
            _in_office(accepted + 102 * HOUR),
        ),
    )
    for who, entry, now in steps:
        if now < until:
            act(session, who, order_id, entry, now)


def _play_cleaning(session: Session, office: Office, until: datetime) -> None:
    """Play the orders that no alarm asks for: cleaning and mowing, a few stations each month."""
    month, worker = Period.month_of(until), office.actor("demo_worker")
    for back in range(CLEANING_MONTHS):
        start = local_midnight(month.start) + 33 * HOUR
        for number in range(CLEANED_A_MONTH):
            at = start + timedelta(days=3 * number)
            place = office.county.stations[(7 * back + 5 * number + 1) % len(office.county.stations)]
            if at >= until or month.start < office.county.story.epoch:
                continue
            order = NewOrder(
                place.id, "组件清洗、除草、紧固检查", at + 168 * HOUR, instructions="拍清洗前后照片"
            )
            order_id = open_order(session, office.actor("demo_clerk"), order, at)
            done = at + (150 if number else 190) * HOUR
            if done < until:
                act(session, worker, order_id, Entry(Action.FINISH, "清洗和除草完成，接线紧固"), done)
            if done + 48 * HOUR < until:
                act(session, office.actor("demo_leader"), order_id, Entry(Action.CLOSE), done + 48 * HOUR)
        month = month.previous()


def _play_calendar(session: Session, office: Office, until: datetime) -> None:
    """Play announced work, past and to come, and the county's orders of curtailment."""
    worker, clerk = office.actor("demo_worker"), office.actor("demo_clerk")
    today = local_midnight(local_date(until))
    county = office.county
    for days, slot, words in (
        (-12, 11, "更换汇流箱防雷器"),
        (2, 6, "线路绝缘检测，逐台停机"),
        (6, 14, "更换关口表互感器"),
    ):
        place = county.stations[slot % len(county.stations)]
        start = today + timedelta(days=days, hours=9)
        announced = min(start - 40 * HOUR, until)
        if local_date(announced) >= county.story.epoch:
            announce(session, worker, place.id, (start, start + 4 * HOUR, words), announced)
    for number, fact in enumerate(county.story.of(FactKind.CURTAILED), start=1):
        if fact.start < until and local_date(fact.start) >= county.story.epoch:
            record = DispatchRecord(
                county.station_in(fact).id,
                DispatchKind.CURTAILMENT,
                fact.start,
                fact.end,
                f"云泽县调限电令第 {number} 号",
                100 * fact.share,
            )
            record_dispatch(session, clerk, record, fact.start)
