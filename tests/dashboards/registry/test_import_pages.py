"""A list is taken in on pages: checked, columns corrected, marked, confirmed, undone."""

import io
import re
import zipfile

import pytest

from documents.reading import read_sheets
from registry.intake import LISTS
from registry.intake.waiting import FOLDER

NAME = "农户.csv"


def upload(browser, text: str, kind: str = "households"):
    return browser.post(
        "/registry/import", files={"file": (NAME, text.encode("gb18030"), "text/csv")}, kind=kind
    )


def fields(page: str, action: str) -> dict[str, object]:
    form = re.search(rf'<form[^>]*action="{action}".*?</form>', page, re.DOTALL)[0]
    found: dict[str, object] = {}
    for name, value in re.findall(r'name="([a-z_]+)" value="([^"]*)"', form):
        found.setdefault(name, []).append(value)
    return {name: values if name == "columns" else values[0] for name, values in found.items()}


def send(browser, page: str, action: str, **more):
    return browser.client.post(action, data={**fields(page, action), **more})


def test_a_list_is_checked_taken_in_and_undone(county, browse):
    browser, village = browse("county"), county.villages[0]
    text = f"村代码,户编号,户主姓名,登记日期,户类别\n{village},801,钱多多,2026-01-01,低保\n"
    page = upload(browser, text).text
    assert "导入 1 行" in page
    assert "钱多多" not in browser.get(f"/households?village={village}&q=801").text
    answer = send(browser, page, "/registry/import/confirm")
    assert answer.status_code == 303, answer.text
    assert "钱多多" in browser.get(f"/households?village={village}&q=801").text
    assert "没有需要导入的" in upload(browser, text).text
    listed = browser.get("/registry/import").text
    undo = re.search(r'action="(/registry/import/batches/[^"]+/undo)"', listed)[1]
    assert browser.post(undo, page="/registry/import").status_code == 303
    assert "钱多多" not in browser.get(f"/households?village={village}&q=801").text
    assert "撤销" in browser.get("/registry/import").text
    again = browser.post(undo, page="/registry/import")
    assert again.status_code == 409
    assert "已经撤销过" in again.text


def test_wrong_cells_are_named_and_marked_and_nothing_is_taken_in(county, browse):
    browser, village = browse("county"), county.villages[0]
    text = (
        "村代码,户编号,户主姓名,登记日期,身份证号\n"
        f"{village},802,孙小小,2026-13-01,11010519491231002X\n"
        f"{village},803,李小小,2026-01-01,110105194912310021\n"
        f"{village},804,周小小,2026-01-01,\n"
    )
    page = upload(browser, text).text
    assert "D2" in page
    assert "E3" in page
    assert "只导入没有问题的 1 行" in page
    marked = send(browser, page, "/registry/import/marked")
    assert marked.headers["content-type"].endswith("sheet")
    (sheet,) = read_sheets(marked.content, "marked.xlsx")
    assert [row[5].text for row in sheet.rows if row[1].text in {"802", "803", "804"}] == [
        "错误",
        "错误",
        "新增",
    ]
    with zipfile.ZipFile(io.BytesIO(marked.content)) as archive:
        assert "登记日期" in archive.read("xl/comments1.xml").decode()
    refused = browser.client.post(
        "/registry/import/confirm", data={**fields(page, "/registry/import/confirm"), "partial": ""}
    )
    assert refused.status_code == 409
    assert "没有导入" in refused.text
    assert send(browser, page, "/registry/import/confirm").status_code == 303
    assert "周小小" in browser.get(f"/households?village={village}&q=804").text


def test_a_person_says_which_column_is_which(county, browse):
    browser, village = browse("county"), county.villages[0]
    text = f"甲,乙,丙,丁\n{village},805,郑小小,2026-01-01\n"
    page = upload(browser, text).text
    assert "找不到" in page
    data = fields(page, "/registry/import/columns")
    data["columns"] = ["village_code:0", "number:1", "name:2", "registered_on:3"]
    page = browser.client.post("/registry/import/columns", data=data).text
    assert "导入 1 行" in page
    assert send(browser, page, "/registry/import/confirm").status_code == 303
    assert "郑小小" in browser.get(f"/households?village={village}&q=805").text


def test_a_waiting_file_is_sealed_and_gone_after_it_was_taken_in(county, browse):
    browser, village = browse("county"), county.villages[0]
    text = f"村代码,户编号,户主姓名,登记日期\n{village},806,冯秘密,2026-01-01\n"
    page = upload(browser, text).text
    token = fields(page, "/registry/import/confirm")["token"]
    path = county.services.data_dir / FOLDER / token
    assert path.stat().st_mode & 0o077 == 0
    assert "冯秘密".encode("gb18030") not in path.read_bytes()
    send(browser, page, "/registry/import/confirm")
    assert not path.exists()
    gone = send(browser, page, "/registry/import/confirm")
    assert gone.status_code == 422
    assert "过期" in gone.text
    forged = {**fields(page, "/registry/import/confirm"), "token": "../../personal-data.key"}
    assert browser.client.post("/registry/import/confirm", data=forged).status_code == 422


@pytest.mark.parametrize("kind", sorted(LISTS))
def test_a_template_opens_has_its_notes_and_is_read_back_with_its_own_columns(browse, kind):
    answer = browse("county").get(f"/registry/import/{kind}/template")
    assert answer.status_code == 200
    (sheet,) = read_sheets(answer.content, "template.xlsx")
    titles = {cell.text.rstrip("*") for row in sheet.rows for cell in row}
    assert {one.title for one in LISTS[kind].spec.columns} <= titles


@pytest.mark.parametrize("role", ["village", "township", "finance", "maintenance", "public"])
def test_nobody_else_takes_in_a_list(browse, role):
    browser = browse(role)
    for path in ("/registry/import", "/registry/import/households/template"):
        assert browser.get(path).status_code in {303, 403}
