"""Papers of settlement and bank statements by command, as docs/对账.md says it."""

import subprocess

import pytest

from api.operations.exports import PAPERS, export
from api.operations.money import bank, verify
from store.problem import ProblemsError
from tests.api.conftest import BOOKED_MONTH

MARKS = {".xlsx": b"PK", ".csv": b"\xef\xbb\xbf", ".pdf": b"%PDF"}


@pytest.mark.parametrize("what", PAPERS)
@pytest.mark.parametrize("ending", MARKS)
def test_every_paper_is_written_in_every_form(services, county, tmp_path, what, ending):
    out = tmp_path / f"对账文件{ending}"
    number = next(one.account_number for one in county.stations if one.account_number)
    outcome = export(services, what=what, out=str(out), month=BOOKED_MONTH, account=number)
    assert out.read_bytes().startswith(MARKS[ending])
    assert outcome.rows[0]["bytes"] == out.stat().st_size


def test_the_fingerprint_of_a_csv_is_that_of_its_lines_before_the_last(services, tmp_path):
    out = tmp_path / "对账单.csv"
    export(services, what="reconciliation", out=str(out), month=BOOKED_MONTH)
    said = out.read_text("utf-8-sig").rstrip().rpartition(",")[2]
    command = f"head -n -1 '{out}' | sha256sum"
    found = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    assert found.split()[0] == said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"month": ""}, "--month"),
        ({"month": "2026"}, "不是月份"),
        ({"what": "account"}, "--account"),
        ({"what": "account", "account": "77"}, "没有户号 77"),
        ({"out": "x.docx"}, "可以是"),
        ({"out": "/absent/x.csv"}, "写不了"),
    ],
)
def test_what_cannot_be_written_is_told(services, changes, words):
    asked = {"what": "reconciliation", "out": "x.csv", "month": BOOKED_MONTH} | changes
    with pytest.raises(ProblemsError, match=words):
        export(services, **asked)


def test_a_bank_statement_is_kept_once(services, tmp_path):
    file = tmp_path / "流水.csv"
    file.write_text("到账日期,到账金额,银行流水号\n2026-11-15,1.00,K1\n2026-11-15,一,K2\n", "utf-8")
    assert bank(services, file=str(file), dry_run=True).rows[0]["added"] == 1
    first = bank(services, file=str(file))
    assert (first.rows[0]["added"], first.rows[0]["problems"]) == (1, 1)
    assert bank(services, file=str(file)).rows[0]["unchanged"] == 1
    assert verify(services).problems == ()
