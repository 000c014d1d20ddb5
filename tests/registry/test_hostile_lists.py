"""Every file of the corpus gets its right result or its right message, and no traceback."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.actors import Actor, Role
from registry.intake import Outcome, Upload, marked_copy, preview
from tests.registry.conftest import NOW
from tests.registry.hostile import CORPUS, HARMFUL, Sent, xlsx

ACTOR = Actor("clerk", "县经办", Role.COUNTY, "520491000000")


def test_the_corpus_is_large_enough_and_every_file_is_another():
    assert len(CORPUS) >= 60
    assert len({sent.content for sent in CORPUS}) == len({sent.name for sent in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize("sent", CORPUS, ids=lambda sent: sent.name)
def test_a_sent_file_gets_its_right_answer(world, sent: Sent):
    started = time.monotonic()
    upload = Upload("households", sent.name, sent.content)
    with world.database.reading() as session:
        look = preview(session, ACTOR, world.ring, upload, NOW)
    said = "；".join(f"{one.where} {one.what} {one.how_to_fix}" for one in look.all_problems)
    assert time.monotonic() - started < 30
    assert look.count(Outcome.ADDED) == sent.added or sent.words, said
    if sent.words:
        assert sent.words in said
        assert all(one.where and one.how_to_fix for one in look.all_problems)
    else:
        assert said == ""
    assert "Traceback" not in said
    assert "root:" not in said
    if sent in HARMFUL:
        assert look.rows == ()
    elif sent.words and look.rows:
        assert marked_copy(upload, look).startswith(b"PK")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.lists(st.lists(st.text(max_size=30), min_size=1, max_size=8), min_size=1, max_size=6))
def test_any_table_of_text_is_read_with_problems_at_worst(world, cells):
    content = "\n".join(",".join(part.replace('"', "") for part in row) for row in cells).encode(
        "gb18030", "ignore"
    )
    with world.database.reading() as session:
        for kind in ("households", "stations", "archive", "attendance"):
            look = preview(session, ACTOR, world.ring, Upload(kind, "表.csv", content or b"x"), NOW)
            assert look.all_problems or look.rows


def test_a_number_that_excel_has_damaged_is_refused_in_every_list_with_numbers(world):
    members = xlsx(
        ("520491100200", "001", "张三", 520491196001001908, "子女"),
        head=("村代码", "户编号", "姓名", "身份证号", "与户主关系"),
    )
    with world.database.reading() as session:
        look = preview(session, ACTOR, world.ring, Upload("members", "成员.xlsx", members), NOW)
    assert "数字格式" in look.all_problems[0].what
