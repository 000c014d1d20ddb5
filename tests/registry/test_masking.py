"""Masks never leak, and say exactly what the table of audiences allows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.masking import (
    Audience,
    PersonalField,
    mask_account,
    mask_id_number,
    mask_name,
    mask_phone,
    shown,
)

DIGITS = st.text("0123456789", min_size=1, max_size=30)
NAMES = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("张明", "张*"),
        ("张小明", "张*明"),
        ("欧阳明", "欧阳*"),
        ("欧阳小明", "欧阳*明"),
        ("欧阳", "欧*"),
        ("买买提·艾力", "买****力"),
        ("张", "*"),
        (" 王五 ", "王*"),
    ],
)
def test_a_name_keeps_its_surname_and_last_character(name, masked) -> None:
    assert mask_name(name) == masked


def test_an_id_number_and_a_card_and_a_phone_keep_what_the_table_says() -> None:
    assert mask_id_number("520491196001011236") == "520***********1236"
    assert mask_id_number("52049119600101123X") == "520***********123X"
    assert mask_account("6217000012345678") == "**** 5678"
    assert mask_phone("13812345678") == "138****5678"


@given(NAMES)
def test_a_masked_name_always_hides_a_character(name) -> None:
    masked = mask_name(name)
    assert "*" in masked
    assert len(masked) == len(name)
    assert sum(a == b for a, b in zip(masked, name, strict=True)) <= 3


@given(DIGITS)
def test_a_masked_number_never_shows_enough_to_find_the_person(number) -> None:
    assert sum(character.isdigit() for character in mask_id_number(number)) <= 7
    assert mask_id_number(number) != number
    assert number[6:14] not in mask_id_number(number) or len(number) < 7
    assert sum(character.isdigit() for character in mask_account(number)) <= 4
    assert sum(character.isdigit() for character in mask_phone(number)) <= 7
    assert mask_phone(number) != number


@given(st.sampled_from([Audience.PAPER_NOTICE, Audience.PUBLIC_PAGE]), DIGITS, st.booleans())
def test_the_village_board_and_the_web_show_no_identifier_not_even_partly(audience, value, full) -> None:
    for field in PersonalField:
        if field is not PersonalField.NAME:
            assert shown(field, value, audience, full_name_on_paper=full) == ""


@given(NAMES)
def test_the_web_shows_no_full_name_whatever_the_county_chose_for_paper(name) -> None:
    assert shown(PersonalField.NAME, name, Audience.PUBLIC_PAGE, full_name_on_paper=True) == mask_name(name)
    assert shown(PersonalField.NAME, name, Audience.PAPER_NOTICE) == mask_name(name)
    assert shown(PersonalField.NAME, name, Audience.PAPER_NOTICE, full_name_on_paper=True) == name


def test_an_office_screen_shows_masks_and_the_bank_file_the_account_alone() -> None:
    office, bank = Audience.OFFICE_SCREEN, Audience.BANK_FILE
    assert shown(PersonalField.NAME, "张小明", office) == "张小明"
    assert shown(PersonalField.ID_NUMBER, "520491196001011236", office) == "520***********1236"
    assert shown(PersonalField.BANK_ACCOUNT, "6217000012345678", office) == "**** 5678"
    assert shown(PersonalField.PHONE, "13812345678", office) == "138****5678"
    assert shown(PersonalField.CLASS, "低保户", office) == "低保户"
    assert shown(PersonalField.BANK_ACCOUNT, "6217000012345678", bank) == "6217000012345678"
    assert shown(PersonalField.ID_NUMBER, "520491196001011236", bank) == ""
    assert shown(PersonalField.PHONE, "13812345678", bank) == ""
