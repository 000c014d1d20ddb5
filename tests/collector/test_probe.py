"""The probe recognises simulated devices over real TCP, and asks nothing that it may not."""

import asyncio
import ipaddress
import socket
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader

from collector.modbus import Line
from collector.networks import peer_problem, refused
from collector.probe import probe
from collector.profile import Identity, decode, load_profile, plan_blocks
from collector.profile.detection import certainty, signs
from collector.sheet import Sheet, sheet_of, sheets_pdf, sheets_text
from collector.simulator import ModbusSimulator, SimulatedDevice
from store.problem import ProblemsError
from tests.collector.plants import SteadyPlant, utc_now
from tests.collector.register_server import RegisterServer, recorded
from tests.collector.serial_line import RtuUnits, serial_port
from tests.collector.test_meterline import Meters

NOW = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)
MODELS = {"huawei_sun2000": "SUN2000-60KTL", "goodwe_mt_smt": "GW60KS-MT"}


async def reports_of(*words, **options):
    return (await probe(*words, **options)).reports


async def serving(port: int, plant: SteadyPlant, *families: str) -> ModbusSimulator:
    devices = [
        SimulatedDevice(
            f"device_{unit}",
            unit,
            load_profile(name),
            Identity(serial=f"A2601{unit}", model=MODELS.get(name, ""), rated_power_w=60_000),
        )
        for unit, name in enumerate(families, start=1)
    ]
    server = ModbusSimulator(("127.0.0.1", port), devices, plant, utc_now)
    await server.start()
    return server


@pytest.mark.parametrize("family", ["sungrow_sg_string", "huawei_sun2000", "goodwe_mt_smt", "sunspec"])
async def test_a_device_is_recognised(free_port: int, family: str) -> None:
    server = await serving(free_port, SteadyPlant(), family)
    (report,) = await reports_of(Line("127.0.0.1", free_port, timeout=1), [1])
    await server.stop()
    assert report.best is not None
    assert report.best.profile == family
    assert report.best.certainty in {"确定", "可能"}
    assert report.best.decoded.values["active_power_w"] == pytest.approx(45_600, abs=100)
    assert server.functions_seen <= {3, 4}


async def test_unit_ids_behind_a_gateway_are_scanned_and_silent_ones_left_out(free_port: int) -> None:
    plant = SteadyPlant()
    plant.silent = {"device_2"}
    server = await serving(free_port, plant, "huawei_sun2000", "huawei_sun2000", "sungrow_sg_string")
    reports = await reports_of(Line("127.0.0.1", free_port, timeout=0.5), range(1, 6))
    await server.stop()
    assert [(report.unit_id, report.best.profile) for report in reports if report.best] == [
        (1, "huawei_sun2000"),
        (3, "sungrow_sg_string"),
    ]


async def test_a_named_family_is_read_whole_and_shown_in_both_word_orders(free_port: int) -> None:
    server = await serving(free_port, SteadyPlant(), "sungrow_sg_string")
    line = Line("127.0.0.1", free_port, timeout=1)
    (report,) = await reports_of(line, [1], profile_name="sungrow_sg_string")
    await server.stop()
    assert report.best is not None
    orders = {order.name: order for order in report.best.orders}
    energy = orders["generated_energy_wh"]
    assert energy.profile_says_low
    assert energy.low_word_first == pytest.approx(123_456_700, abs=1000)
    assert energy.high_word_first != energy.low_word_first


async def test_the_commissioning_sheet_names_the_device_and_its_first_reading(free_port: int) -> None:
    server = await serving(free_port, SteadyPlant(), "huawei_sun2000")
    line = Line("127.0.0.1", free_port, timeout=1)
    (report,) = await reports_of(line, [1])
    await server.stop()
    sheet = sheets_text([sheet_of(report, line)], NOW)
    assert "序列号：A26011" in sheet
    assert "型号：SUN2000-60KTL" in sheet
    assert "额定功率：60 kW" in sheet
    assert "首次累计电量：123,456.7 kWh" in sheet
    assert "读取时间：2026-06-01 12:00" in sheet


async def test_an_address_that_is_no_device_network_is_refused() -> None:
    with pytest.raises(ProblemsError, match="网段"):
        await probe(Line("8.8.8.8", 502, timeout=0.2), [1])
    with pytest.raises(ProblemsError, match="站号"):
        await probe(Line("127.0.0.1", 1, timeout=0.2), [])


async def test_a_closed_port_is_said_in_words(free_port: int) -> None:
    with pytest.raises(ProblemsError, match="连不上"):
        await probe(Line("127.0.0.1", free_port, timeout=0.3), [1])


# Against a server that shares no code with ours


async def test_recorded_devices_behind_one_logger_are_told_apart_with_one_connection() -> None:
    server = RegisterServer(
        {
            1: recorded("goodwe_gw50ks_mt"),
            7: recorded("goodwe_gw20kau_dt"),
            126: recorded("sunspec_sma_sb36"),
        }
    )
    port = await server.start()
    findings = await probe(Line("127.0.0.1", port, timeout=0.2), [*range(1, 41), 126])
    await server.stop()
    assert [(one.unit_id, one.best.profile, one.best.certainty) for one in findings.reports if one.best] == [
        (1, "goodwe_mt_smt", "确定"),
        (7, "goodwe_mt_smt", "确定"),
        (126, "sunspec", "确定"),
    ]
    best = findings.reports[0].best
    assert best is not None
    assert best.decoded.identity.model == "GW50KS-MT"
    assert server.most_at_once == 1


async def test_a_device_that_does_not_look_at_the_unit_id_ends_the_scan() -> None:
    words = recorded("goodwe_gw50ks_mt")
    server = RegisterServer(dict.fromkeys(range(256), words))
    port = await server.start()
    findings = await probe(Line("127.0.0.1", port, timeout=0.2), range(1, 248))
    await server.stop()
    assert [report.unit_id for report in findings.reports] == [1, 2, 3]
    assert "不看站号" in findings.remark


async def test_a_scan_ends_in_time_with_what_it_has() -> None:
    server = RegisterServer({1: recorded("goodwe_gw50ks_mt")})
    port = await server.start()
    findings = await probe(Line("127.0.0.1", port, timeout=0.3), range(1, 248), longest_seconds=1.5)
    await server.stop()
    assert [report.unit_id for report in findings.reports] == [1]
    assert "没有问完" in findings.remark


def test_the_sheet_is_one_page_of_pdf_for_each_device(tmp_path: Path) -> None:
    page = Sheet("10.1.2.3:502　站号 1", (("型号", "GW50KS-MT"),), (("首次累计电量", "1,234.5 kWh"),))
    content = sheets_pdf([page, page], NOW.replace(microsecond=5))
    reader = PdfReader(BytesIO(content))
    assert len(reader.pages) == 2
    text = reader.pages[0].extract_text()
    assert "GW50KS-MT" in text
    assert "1,234.5 kWh" in text


def test_our_own_addresses_are_never_devices() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outward:
        outward.connect(("192.0.2.1", 9))
        own = outward.getsockname()[0]
    assert refused(own, ("0.0.0.0/0",)) != ipaddress.ip_address(own).is_loopback
    assert refused("127.0.0.1", ("10.0.0.0/8",))
    assert refused("::ffff:127.0.0.1", ("10.0.0.0/8",))
    assert not refused("127.0.0.1", ("127.0.0.0/8",))
    assert peer_problem("8.8.8.8", ("10.0.0.0/8",))
    assert not peer_problem("", ("10.0.0.0/8",))


async def test_the_only_meter_behind_a_gateway_says_its_number_and_its_energy() -> None:
    meters = Meters("123456789012")
    gateway = await asyncio.start_server(meters.serve, "127.0.0.1", 0)
    line = Line("127.0.0.1", gateway.sockets[0].getsockname()[1], timeout=1)
    (report,) = await reports_of(line, [1], profile_name="dlt645_2007")
    gateway.close()
    await asyncio.sleep(0.1)  # the gateway's side of the connection ends too
    assert report.best is not None
    assert report.best.certainty == "确定"
    assert report.best.decoded.values["imported_energy_wh"] == 1_234_560
    assert "首次累计电量：1,234.6 kWh" in sheets_text([sheet_of(report, line)], NOW)
    assert meters.controls <= {0x11, 0x12, 0x13}


OWN_PROFILE = """
schema = "sunledger-device-profile/1"
vendor = "Huaxing"
vendor_zh = "华星"
kind = "meter"
products = "HX-100"
confidence = [{ group = "all", level = "vendor", note = "manual, table 5" }]
addressing = { function_code = 3, wire_offset = -40001, word_order = "low" }
registers = [
  { name = "active_power", document = 40013, type = "f32", unit = "kW", quantity = "active_power_w" },
  { name = "hz", document = 40051, type = "u16", scale = 0.01, unit = "Hz", quantity = "frequency_hz" },
]
"""


async def test_a_profile_of_ones_own_without_a_detection_is_probed_too(tmp_path: Path) -> None:
    (tmp_path / "hx100.toml").write_text(OWN_PROFILE, encoding="utf-8")
    server = RegisterServer({1: {(3, 12): 0, (3, 13): 0x41C8, (3, 50): 5001}})
    line = Line("127.0.0.1", await server.start(), timeout=0.5)
    (report,) = await reports_of(line, [1], profile_name=str(tmp_path / "hx100.toml"))
    await server.stop()
    assert report.best is not None
    assert report.best.decoded.values == {"active_power_w": 25_000, "frequency_hz": 50.01}


async def test_a_sunspec_device_shows_its_rated_power(free_port: int) -> None:
    server = await serving(free_port, SteadyPlant(), "sunspec")
    (report,) = await reports_of(Line("127.0.0.1", free_port, timeout=1), [1])
    await server.stop()
    assert report.best is not None
    assert report.best.decoded.identity.rated_power_w == 60_000


def test_zeros_speak_for_no_family() -> None:
    for name in ("goodwe_mt_smt", "solis_string", "eastron_sdm630"):
        profile = load_profile(name)
        words = {
            (block.function_code, block.address + index): 0
            for block in plan_blocks(profile)
            for index in range(block.count)
        }
        assert certainty(signs(profile, decode(profile, words))) == "不像"


async def test_devices_on_a_serial_line_are_scanned_and_read() -> None:
    units = RtuUnits({3: recorded("goodwe_gw20kau_dt"), 5: recorded("sunspec_sma_sb36")})
    with serial_port(units) as port:
        line = Line(port, serial=True, baudrate=9600, parity="N", timeout=0.5)
        reports = await reports_of(line, [2, 3, 5])
        named = await reports_of(line, [5], profile_name="sunspec")
    assert [report.unit_id for report in reports] == [3, 5]
    assert [report.best.profile for report in reports if report.best] == ["goodwe_mt_smt", "sunspec"]
    assert named[0].best is not None
    assert named[0].best.decoded.values
    text = sheets_text([sheet_of(reports[0], line)], NOW)
    assert port in text


async def test_a_serial_port_that_is_not_there_is_said_in_words() -> None:
    with pytest.raises(ProblemsError, match="连不上"):
        await probe(Line("/dev/pts/no-such-port", serial=True, timeout=0.5), [1])
