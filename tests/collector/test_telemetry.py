"""Foreign history: what the mapping says is what arrives, and every bad row is named."""

import lzma
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.telemetry import (
    TelemetryMapping,
    import_telemetry,
    read_mapping,
    telemetry_batches,
)
from store.problem import ProblemsError
from store.samples import Sample, table_to_samples
from store.series import open_series

CASES = Path(__file__).parents[1] / "cases" / "telemetry"
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "telemetry-mapping.toml"
NOON = datetime(2026, 10, 5, 4, 0, tzinfo=UTC)


def mapping(**changes) -> TelemetryMapping:
    given = {
        "format": "sunledger-telemetry/1",
        "time": {"column": "t", "format": "iso", "zone": "Asia/Shanghai"},
        "device": {"constant": "meter-1"},
        "quantity": [{"column": "kwh", "name": "exported_energy_wh", "unit": "kWh"}],
    }
    return TelemetryMapping.model_validate(given | changes)


def loaded(path: Path, rule: TelemetryMapping):
    samples, problems = [], []
    for table, found in telemetry_batches(path, rule):
        samples += table_to_samples(table)
        problems += found
    return samples, problems


def written(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_units_scales_and_names_are_applied():
    samples, _ = loaded(CASES / "portal.csv", read_mapping(CASES / "portal.toml"))
    first = NOON + timedelta(minutes=15)
    assert samples[0] == Sample(
        "old-inverter-1",
        first,
        first,
        {"active_power_w": 31250.0, "generated_energy_wh": 100_000_002, "dc_power_w": 31880.0},
    )
    assert samples[1].values == {"generated_energy_wh": 100_007_900}
    assert samples[2].device_id == "old-逆变器2"
    assert samples[2].values == {"active_power_w": 0.0, "generated_energy_wh": 0, "dc_power_w": 0.0}


def test_each_bad_row_is_a_problem_with_its_line_and_stops_nothing():
    samples, problems = loaded(CASES / "portal.csv", read_mapping(CASES / "portal.toml"))
    assert [(problem.where, problem.what) for problem in problems] == [
        ("portal.csv 第 5 行 列“时间”", "时间“2026-10-05 12:30”读不出"),
        ("portal.csv 第 6 行 列“设备”", "没有设备编号"),
        ("portal.csv 第 7 行 列“功率(kW)”", "“三十”不是数字"),
        ("portal.csv 第 8 行 列“功率(kW)”", "“Infinity”不是数字"),
        ("portal.csv 第 8 行 列“总发电量(kWh)”", "“1e30”不是数字"),
    ]
    assert samples[3].values == {"generated_energy_wh": 100_022_250}
    assert len(samples) == 5


@pytest.mark.parametrize(
    ("rule", "text", "instant"),
    [
        ({"format": "unix_s"}, "1791172800", NOON),
        ({"format": "unix_ms"}, "1791172800000", NOON),
        ({"format": "iso"}, "2026-10-05T12:00:00", NOON),
        ({"format": "iso", "zone": "Asia/Kolkata"}, "2026-10-05 12:00", NOON + timedelta(hours=2.5)),
        ({"format": "iso"}, "2026-10-05T12:00:00+09:00", NOON - timedelta(hours=1)),
        ({"format": "%d-%m-%Y %H:%M"}, "05-10-2026 12:00", NOON),
        ({"format": "iso", "shift_minutes": -15}, "2026-10-05 12:00", NOON - timedelta(minutes=15)),
    ],
)
def test_times_are_read_as_the_mapping_says(tmp_path, rule, text, instant):
    path = written(tmp_path, f"t,kwh\n{text},1\n")
    samples, problems = loaded(path, mapping(time={"column": "t", **rule}))
    assert problems == []
    assert samples[0].time == instant


@pytest.mark.parametrize("text", ["2026-03-29 02:30", "2026-10-25 02:30"])
def test_a_wall_time_that_a_zone_skips_or_repeats_is_refused(tmp_path, text):
    path = written(tmp_path, f"t,kwh\n{text},1\n")
    samples, problems = loaded(path, mapping(time={"column": "t", "format": "iso", "zone": "Europe/Berlin"}))
    assert samples == []
    assert "读不出" in problems[0].what


def test_a_missing_column_is_named_with_the_columns_that_there_are(tmp_path):
    with pytest.raises(ProblemsError, match=r"没有列“kwh”.*文件的列是：t、mwh"):
        loaded(written(tmp_path, "t,mwh\n"), mapping())


def test_an_empty_file_and_an_absent_file_are_refused(tmp_path):
    with pytest.raises(ProblemsError):
        loaded(written(tmp_path, ""), mapping())
    with pytest.raises(ProblemsError):
        loaded(tmp_path / "nowhere.csv", mapping())


def test_a_file_that_breaks_off_gives_what_was_read_and_a_problem(tmp_path):
    text = "t,kwh\n" + "".join(
        f"2026-10-05 {n // 60:02}:{n % 60:02},{n * 7919 % 10007}\n" for n in range(1440)
    )
    path = tmp_path / "data.csv.xz"
    packed = lzma.compress((text * 1).encode())
    path.write_bytes(packed[: len(packed) // 2])
    try:
        samples, problems = loaded(path, mapping())
    except ProblemsError as error:
        samples, problems = [], list(error.problems)
    assert len(samples) < 1440
    assert "中断" in problems[-1].what


def test_a_file_in_another_encoding_is_refused_with_its_place(tmp_path):
    path = tmp_path / "gbk.csv"
    path.write_bytes("t,kwh,备注\n2026-10-05 12:00,1,晴\n".encode("gb18030"))
    with pytest.raises(ProblemsError, match="编码"):
        loaded(path, mapping())
    assert len(loaded(path, mapping(csv={"encoding": "gb18030"}))[0]) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ('[[quantity]]\ncolumn = "a"\nname = "happiness"', "没有名为 happiness 的量"),
        ('[[quantity]]\ncolumn = "a"\nname = "active_power_w"\nunit = "kWh"', "单位 kWh 不能换算成 W"),
        ('zone = "Asia/Nowhere"', "不认识时区"),
        ('colour = "red"', "colour"),
        ("a = [", "不是有效的 TOML"),
    ],
)
def test_a_wrong_mapping_is_refused_with_its_place(tmp_path, changes, words):
    base = 'format = "sunledger-telemetry/1"\ndevice = { constant = "a" }\n'
    quantity = '[[quantity]]\ncolumn = "kwh"\nname = "exported_energy_wh"\n'
    time = '[time]\ncolumn = "t"\n'
    path = written(tmp_path, base + quantity + time + changes + "\n", "map.toml")
    with pytest.raises(ProblemsError) as caught:
        read_mapping(path)
    assert any(words in str(problem) for problem in caught.value.problems)


def test_a_device_needs_exactly_one_source():
    for device, words in (({}, "属于哪台设备"), ({"column": "d", "constant": "x"}, "只能写一个")):
        with pytest.raises(ValueError, match=words):
            mapping(device=device)


def test_importing_twice_stores_once_and_a_changed_counter_is_a_conflict(tmp_path):
    store = open_series(f"duckdb:///{tmp_path / 'series.duckdb'}")
    lines = "".join(f"2026-10-05 {hour:02}:00,{hour}\n" for hour in range(24))
    path = written(tmp_path, "t,kwh\n" + lines)
    seen = []
    report = import_telemetry(store, path, mapping(), seen.append)
    assert (report.stored, report.duplicates, seen) == (24, 0, [report])
    assert import_telemetry(store, path, mapping(), seen.append).duplicates == 24
    changed = written(tmp_path, "t,kwh\n2026-10-05 03:00,3.5\n", "changed.csv")
    conflicts = import_telemetry(store, changed, mapping(), seen.append).conflicts
    assert [(c.device_id, c.stored, c.offered) for c in conflicts] == [("meter-1", 3000, 3500)]
    store.close()


def test_the_shipped_example_is_a_valid_mapping():
    assert len(read_mapping(EXAMPLE).quantity) == 4


def test_date_and_time_in_two_columns_lines_before_the_heading_and_european_numbers(tmp_path):
    text = "Export\nAnlage 7\nDatum;Zeit;Inverter;Leistung kW\n"
    text += "05.10.2026;12:00;A;1.234,5\n05.10.2026;12:15;A;-\n"
    rule = mapping(
        time={"columns": ["Datum", "Zeit"], "format": "%d.%m.%Y %H:%M"},
        device={"column": "Inverter", "rename": {"A": "inverter-a"}},
        quantity=[{"column": "Leistung kW", "name": "active_power_w", "unit": "kW"}],
        csv={"delimiter": ";", "skip_lines": 2, "decimal": ",", "thousands": "."},
    )
    samples, problems = loaded(written(tmp_path, text), rule)
    assert samples == [Sample("inverter-a", NOON, NOON, {"active_power_w": 1_234_500.0})]
    assert problems == []


def test_a_column_for_each_device_becomes_a_sample_for_each(tmp_path):
    text = "t,INV1 kW,INV1 state,INV2 kW\n2026-10-05T12:00,3,Running,4\n2026-10-05T12:15,,Off,x\n"
    power = {"name": "active_power_w", "unit": "kW"}
    rule = mapping(
        device={"prefix": "old-"},
        quantity=[
            {"column": "INV1 kW", "device": "1", **power},
            {"column": "INV1 state", "device": "1", "name": "state", "words": {"Running": 3, "Off": 1}},
            {"column": "INV2 kW", "device": "2", **power},
        ],
    )
    samples, problems = loaded(written(tmp_path, text), rule)
    assert [(one.device_id, one.values) for one in samples] == [
        ("old-1", {"active_power_w": 3000.0, "state": 3}),
        ("old-2", {"active_power_w": 4000.0}),
        ("old-1", {"state": 1}),
    ]
    assert [(one.where, one.what) for one in problems] == [("data.csv 第 3 行 列“INV2 kW”", "“x”不是数字")]


def test_a_row_of_another_width_is_a_problem_and_is_left_out(tmp_path):
    samples, problems = loaded(
        written(tmp_path, "t,kwh\n2026-10-05T12:00,1\n2026-10-05T12:15\n\n1,2,3\n"), mapping()
    )
    assert len(samples) == 1
    assert [(one.where, one.what) for one in problems] == [
        ("data.csv 第 3 行", "有 1 格，表头有 2 格"),
        ("data.csv 第 5 行", "有 3 格，表头有 2 格"),
    ]


def test_a_time_of_another_century_is_refused_with_its_reason(tmp_path):
    rule = mapping(time={"column": "t", "format": "unix_s"})
    samples, problems = loaded(written(tmp_path, "t,kwh\n1791172800000,1\n0,1\n1791172800.0,2\n"), rule)
    assert [one.time for one in samples] == [NOON]
    assert ["只收 2000 到 2099 年" in one.how_to_fix or "读不出" in one.what for one in problems] == [
        True,
        True,
    ]


@pytest.mark.parametrize(("which", "hour"), [("earlier", 0), ("later", 1)])
def test_a_repeated_hour_is_the_one_that_the_mapping_says(tmp_path, which, hour):
    rule = mapping(time={"column": "t", "zone": "Europe/Berlin", "ambiguous": which})
    samples, problems = loaded(written(tmp_path, "t,kwh\n2026-10-25T02:30,1\n2026-03-29T02:30,1\n"), rule)
    assert [one.time for one in samples] == [datetime(2026, 10, 25, hour, 30, tzinfo=UTC)]
    assert [one.where for one in problems] == ["data.csv 第 3 行 列“t”"]


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    with pytest.raises(ProblemsError, match="出现了 2 次"):
        loaded(written(tmp_path, "t,kwh,kwh\n2026-10-05T12:00,1,2\n"), mapping())


def test_a_mapping_says_in_chinese_what_is_wrong_and_where(tmp_path):
    path = tmp_path / "map.toml"
    path.write_text(
        'format = "sunledger-telemetry/1"\n[time]\nfmt = "x"\n[device]\nconstant = "a"\n', "utf-8"
    )
    with pytest.raises(ProblemsError) as caught:
        read_mapping(path)
    assert {(one.where.removeprefix(f"{path} "), one.what) for one in caught.value.problems} == {
        ("time.fmt", "没有这个键"),
        ("quantity", "缺这一项"),
    }
