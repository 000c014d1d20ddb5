"""The real `sunledger` without a database: help, complaints, dumps, profiles, mappings and plans."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from api.cli import app
from tests.api.executable import refused, sunledger

CASES = Path(__file__).parents[1] / "cases"
TEMPLATES = Path(__file__).parents[2] / "distribution" / "plans" / "templates"
MAPPINGS = Path(__file__).parents[2] / "collector" / "mappings"


# Help and complaints


def every_command() -> Iterator[tuple[str, ...]]:
    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield path
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, (*path, name))

    return walk(typer.main.get_command(app), ())


@pytest.mark.parametrize("command", list(every_command()), ids=" ".join)
def test_the_help_of_every_command_is_chinese_and_fits(command):
    ended = sunledger(*command, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"用法：sunledger {' '.join(command)}".rstrip())
    about = ended.out.split("\n\n")[1]
    assert re.search(r"[一-鿿]{4}", about)
    assert not re.search(r"\b(Usage|Options|Arguments|Commands|Show this|required|default)\b", ended.out)
    for line in re.findall(r"^  (--?\w[\w-]*|\w+)[^\n]*$", ended.out, re.MULTILINE):
        assert line
    for option in re.findall(r"^  --[^\n]*$", ended.out, re.MULTILINE):
        assert re.search(r"[一-鿿]", option), option
    assert all(len(line) <= 100 for line in ended.out.splitlines())
    assert "..." not in ended.out.partition("命令：")[2]


def test_without_a_command_the_help_is_shown():
    assert "命令：" in sunledger().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nothing"], "没有命令 nothing"),
        (["energy"], "缺少参数 period"),
        (["energy", "2026", "--datta"], "没有选项 --datta（相近的有 --data）"),
        (["energy", "2026", "2027"], "多了 2027"),
        (["energy", "2026", "--station"], "选项 --station 要给一个值"),
        (["verify", "--json=3"], "选项 --json 不带值"),
        (["decode", "absent.json", "--profile", "x"], "dump：没有文件 absent.json"),
        (["decode", __file__], "缺少选项 --profile"),
        (["demo", "--port", "many"], "--port：应是整数"),
        (["plan", "check", "/"], "plan：/ 是目录，要的是文件"),
    ],
)
def test_what_is_written_wrongly_is_said_in_chinese(words, complaint):
    ended = sunledger(*words)
    assert ended.code == 2
    assert f"✕ {complaint}" in ended.err
    assert "--help" in ended.err
    assert ended.out == ""


# Without a database


def test_a_dump_is_decoded_value_by_value():
    case = json.loads((CASES / "dumps" / "sungrow_sg60ku_m.json").read_text(encoding="utf-8"))
    words = ["decode", CASES / "dumps" / "sungrow_sg60ku_m.json", "--profile", case["profile"]]
    found = {(row["quantity"], row["address"]): row for row in sunledger(*words, "--json").json}
    numbers = [row for row in case["expected"] if isinstance(row["value"], int | float)]
    shared = [row for row in numbers if (row["point"], row["address"]) in found]
    assert len(shared) > 5
    for row in shared:
        one = found[(row["point"], row["address"])]
        assert (one["value"], one["unit"]) == (pytest.approx(row["value"]), row["unit"])
    shown = sunledger(*words)
    assert shown.code == 0
    assert "功能码" in shown.out
    refused(sunledger("decode", words[1], "--profile", "absent"), "没有这个设备档案", "sungrow_sg_string")
    refused(sunledger("decode", __file__, "--profile", case["profile"]))


def test_profiles_are_listed_and_checked(tmp_path):
    listed = sunledger("profiles", "list", "--json").json
    assert {"sungrow_sg_string", "sunspec"} <= {row["name"] for row in listed["rows"]}
    assert sunledger("profiles", "check").code == 0
    bad = tmp_path / "bad.toml"
    bad.write_text('name = "bad"\n', encoding="utf-8")
    found = sunledger("profiles", "check", bad)
    assert found.code == 1
    assert "bad" in found.err
    assert "properties" in json.loads(sunledger("profiles", "schema").out)


def test_a_mapping_reads_a_message_or_says_what_it_cannot_use(tmp_path):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text('{"time": 1790000000000, "active_power_w": 4200}', encoding="utf-8")
    bad.write_text("no json", encoding="utf-8")
    read = sunledger("mapping", "check", MAPPINGS / "sunledger.toml", "--message", good, "--json")
    assert read.code == 0
    assert [(row["quantity"], row["value"]) for row in read.json["rows"]] == [("active_power_w", 4200)]
    failed = sunledger("mapping", "check", MAPPINGS / "sunledger.toml", "--message", bad)
    assert failed.code == 1
    assert "✕ bad.json" in failed.err


def test_a_plan_is_checked_and_tried_out(tmp_path):
    plan = TEMPLATES / "houjialou_2019.toml"
    checked = sunledger("plan", "check", plan, "--json")
    assert checked.code == 0
    assert re.fullmatch(r"[0-9a-f]{64}", checked.json["rows"][0]["hash"])
    case = json.loads((CASES / "plans" / "payouts" / "01_houjialou_2019.json").read_text(encoding="utf-8"))
    given = tmp_path / "input.json"
    given.write_text(json.dumps(case["cases"][0]["input"], ensure_ascii=False), encoding="utf-8")
    tried = sunledger("plan", "simulate", plan, given, "--json").json
    lines = [row for row in tried["rows"] if "purse" in row]
    income = sum(row["amount_fen"] for row in tried["rows"] if row["kind"] == "income")
    assert sum(row["amount_fen"] for row in lines) == income == 4_150_000
    assert all(row["explanation"] for row in lines)
    steps = [step for line in tried["details"]["lines"] for step in line["explanation"]]
    assert {"label", "formula", "inputs", "exact", "amount_fen", "clause"} == set(steps[0])
    assert tried["details"]["distributable_fen"] == income
    later = tmp_path / "later.toml"
    later.write_text("valid_from = 2090-01-01\n" + plan.read_text(encoding="utf-8"), encoding="utf-8")
    assert "注意：方案自 2090-01-01 起执行" in sunledger("plan", "simulate", later, given).out
    same = sunledger("plan", "diff", plan, plan, "--inputs", given, "--json")
    assert same.code == 0
    assert same.json["rows"] == []
    assert "0 户增加，0 户减少" in same.json["summary"]
    broken = tmp_path / "input.txt"
    broken.write_text("{", encoding="utf-8")
    refused(sunledger("plan", "simulate", plan, broken), "input.txt")
    refused(sunledger("plan", "check", broken), "TOML")
    refused(sunledger("plan", "schema", "other"), "写 plan 或 input")
    assert "properties" in json.loads(sunledger("plan", "schema", "input").out)


def test_two_plans_are_compared_over_several_inputs(tmp_path):
    text = (TEMPLATES / "default_county.toml").read_text(encoding="utf-8")
    case = tomllib.loads(text)["case"][0]["input"]
    inputs = []
    for number, month in enumerate(("2026-10", "2026-11")):
        inputs.append(tmp_path / f"{number}.json")
        inputs[-1].write_text(json.dumps({**case, "period": month}, default=str), encoding="utf-8")
    other = tmp_path / "other.toml"
    shifted = text.replace('collective = "20%", households = "20%"', 'collective = "10%", households = "30%"')
    other.write_text(shifted.split("[[case]]", maxsplit=1)[0], encoding="utf-8")
    plan = TEMPLATES / "default_county.toml"
    one = sunledger("plan", "diff", plan, other, "--inputs", inputs[0], "--json").json
    both = sunledger("plan", "diff", plan, other, "--inputs", inputs[0], "--inputs", inputs[1], "--json").json
    gains = {row["payee"]: row["delta_fen"] for row in one["rows"]}
    doubled = {row["payee"]: row["delta_fen"] for row in both["rows"]}
    assert gains["h1"] > 0 > gains["520499101201"]
    assert sum(gains.values()) == sum(doubled.values()) == 0
    assert doubled["520499101201"] == 2 * gains["520499101201"]
    assert "份" in one["rows"][0]["causes"] or "钱袋" in one["rows"][0]["causes"]


def test_a_published_list_is_recomputed_by_anyone(tmp_path):
    good = tmp_path / "list.csv"
    good.write_text(
        "tie_break,weight,amount_yuan\n0a,1,33.34\n3f,1,33.33\nb2,1,33.33\n", encoding="utf-8-sig"
    )
    done = sunledger("plan", "recompute", good)
    assert done.code == 0
    assert "一分不差" in done.out
    good.write_text("tie_break,weight,amount_yuan\n0a,1,33.33\n3f,1,33.34\nb2,1,33.33\n", encoding="utf-8")
    found = sunledger("plan", "recompute", good)
    assert found.code == 1
    assert "公布 33.33 元，算出 33.34 元" in found.err


def test_a_plan_whose_shares_exceed_the_whole_is_refused_with_its_place(tmp_path):
    text = (TEMPLATES / "default_county.toml").read_text(encoding="utf-8")
    assert "60" in text
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(re.sub(r'"(\d\d)%"', '"99%"', text, count=1), encoding="utf-8")
    ended = sunledger("plan", "check", wrong)
    assert ended.code in {1, 2}
    assert ended.err.startswith("✕ ")
