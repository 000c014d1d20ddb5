"""`sunledger probe` and `decode` as an installer runs them, against a server that is not ours."""

import asyncio
import json
from pathlib import Path

import pytest

from api.commands.probing import line_of, unit_ids
from store.problem import ProblemsError
from tests.collector.register_server import CASES, RegisterServer, recorded
from tests.living import sunledger


async def run(*words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *sunledger(*words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_a_device_is_found_read_and_written_on_a_sheet(tmp_path: Path) -> None:
    server = RegisterServer({3: recorded("goodwe_gw50ks_mt")})
    port = await server.start()
    sheet = tmp_path / "接入单.pdf"
    words = ("--unit", "1-4", "--timeout", "0.2", "--sheet", str(sheet))
    code, out, _ = await run("probe", f"127.0.0.1:{port}", *words)
    json_code, json_out, _ = await run("probe", f"127.0.0.1:{port}", "--unit", "3", "--json")
    wrong_code, _, wrong = await run("probe", f"127.0.0.1:{port}", "--unit", "9", "--timeout", "0.2")
    await server.stop()
    assert code == 0
    assert "站号 3：固德威 GW50KS-MT" in out
    assert "累计发电量" in out
    assert sheet.read_bytes().startswith(b"%PDF")
    assert json_code == 0
    (row,) = json.loads(json_out)["rows"]
    assert (row["profile"], row["certainty"], row["model"]) == ("goodwe_mt_smt", "确定", "GW50KS-MT")
    assert {point["quantity"] for point in row["points"]} >= {"generated_energy_wh", "active_power_w"}
    assert wrong_code == 1
    assert "没有一个站号应答" in wrong


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("8.8.8.8",), "不在允许的网段内"),
        (("127.0.0.1:1", "--unit", "300"), "不是站号"),
        (("127.0.0.1:99999",), "认不出"),
        (("127.0.0.1:1", "--timeout", "0.2"), "连不上"),
        (("127.0.0.1:1", "--profile", "nobody"), "没有这个设备档案"),
    ],
)
async def test_what_is_not_asked_is_said_in_words(words: tuple[str, ...], said: str) -> None:
    code, _, err = await run("probe", *words)
    assert code == 2
    assert said in err


async def test_decode_gives_one_plain_object_for_each_point_of_the_profile(tmp_path: Path) -> None:
    case = CASES / "goodwe_gw50ks_mt.json"
    code, out, _ = await run("decode", "--profile", "goodwe_mt_smt", str(case), "--json")
    assert code == 0
    rows = json.loads(out)
    power = next(row for row in rows if row["quantity"] == "active_power_w")
    assert {"quantity", "value", "missing", "unit", "function_code", "address", "raw"} <= power.keys()
    assert (power["function_code"], power["unit"], power["missing"]) == (3, "W", None)
    assert all((row["value"] is None) == (row["missing"] is not None) for row in rows)
    content = json.loads(case.read_text(encoding="utf-8"))
    content["frames"][0]["response"] = content["frames"][0]["response"][:-4] + "0000"
    damaged = tmp_path / "damaged.json"
    damaged.write_text(json.dumps(content | {"registers": {}}), encoding="utf-8")
    code, out, err = await run("decode", "--profile", "goodwe_mt_smt", str(damaged), "--json")
    assert code == 1
    assert "frames[1]" in err
    assert any(row["missing"] == "damaged" for row in json.loads(out))


def test_unit_ids_and_addresses_are_read_as_people_write_them() -> None:
    assert unit_ids(["1", "5-7,3", "6"]) == [1, 5, 6, 7, 3]
    for wrong in ("x", "5-3", "256", ""):
        with pytest.raises(ProblemsError):
            unit_ids([wrong])
    line = line_of("[fd00::1]:503", rtu=False, baud=9600, parity="N", timeout=1)
    assert (line.host, line.port) == ("fd00::1", 503)
    assert line_of("/dev/ttyUSB0", rtu=False, baud=2400, parity="E", timeout=1).serial
