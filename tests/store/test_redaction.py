from store.redaction import HIDDEN, redact


def test_personal_numbers_in_a_file_name_are_hidden() -> None:
    name = "11010519491231002X_6222021234567890123_13912345678.csv"
    assert redact(name) == f"{HIDDEN}_{HIDDEN}_{HIDDEN}.csv"


def test_codes_of_places_and_dates_in_a_file_name_stay() -> None:
    assert redact("520499103204_20261125.xlsx") == "520499103204_20261125.xlsx"
