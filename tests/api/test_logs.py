import logging

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from api.logs import HIDDEN, configure_logs, redact

IDENTITY, CARD, PHONE = "11010519491231002X", "6222021234567890123", "13912345678"


@pytest.mark.parametrize("number", [IDENTITY, IDENTITY.lower(), CARD, PHONE])
@given(before=st.sampled_from(["", "户主 ", "id=", "（"]), after=st.sampled_from(["", "。", ",x", "）"]))
def test_personal_numbers_are_hidden(number: str, before: str, after: str) -> None:
    assert redact(f"{before}{number}{after}") == f"{before}{HIDDEN}{after}"


@pytest.mark.parametrize("text", ["520499103204 2026-10", "12470.00 元", "run_0f3c9a", "port 8350"])
def test_codes_and_amounts_stay(text: str) -> None:
    assert redact(text) == text


def test_the_password_of_an_address_is_hidden() -> None:
    assert redact("mqtt://collector:geheim@host:1883") == f"mqtt://collector:{HIDDEN}@host:1883"


def test_neither_our_lines_nor_those_of_libraries_carry_personal_data(
    capsys: pytest.CaptureFixture[str],
) -> None:
    handlers, level = logging.getLogger().handlers, logging.getLogger().level
    try:
        configure_logs("INFO")
        structlog.get_logger("ours").warning("refused", holder=IDENTITY, password="hunter2")
        logging.getLogger("library").warning("card %s", CARD)
        structlog.get_logger("ours").error("failed", exc_info=ValueError(PHONE))
    finally:
        logging.getLogger().handlers, _ = handlers, logging.getLogger().setLevel(level)
        structlog.reset_defaults()
    written = capsys.readouterr().err
    assert "refused" in written
    assert "ValueError" in written
    assert not any(secret in written for secret in (IDENTITY, CARD, PHONE, "hunter2"))
