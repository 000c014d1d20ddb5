"""The key ring: encryption, look-up, rotation, and its file."""

import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.secrets import KEY_FILE_NAME, KeyRing, WrongKeyError, new_key_ring, open_key_ring, save_key_ring
from store.problem import ProblemsError

RING = new_key_ring()


@given(st.text(min_size=1).filter(lambda text: "\ud800" not in text and text.isprintable()))
def test_what_was_encrypted_comes_back_and_is_not_seen_in_the_ciphertext(plain) -> None:
    sealed = RING.encrypt("id_number", plain)
    assert RING.decrypt("id_number", sealed) == plain
    assert len(plain) < 8 or plain not in sealed
    assert RING.encrypt("id_number", plain) != sealed


def test_a_ciphertext_is_bound_to_its_field_and_its_key_and_its_content() -> None:
    sealed = RING.encrypt("id_number", "520491196001011236")
    with pytest.raises(WrongKeyError):
        RING.decrypt("account", sealed)
    with pytest.raises(WrongKeyError):
        new_key_ring().decrypt("id_number", sealed)
    with pytest.raises(WrongKeyError):
        RING.decrypt("id_number", sealed[:-4] + "AAA=")
    with pytest.raises(WrongKeyError):
        RING.decrypt("id_number", "k9:AAAA")
    with pytest.raises(WrongKeyError):
        RING.decrypt("id_number", "k1:不是密文")


def test_the_same_value_has_the_same_hash_under_one_ring_only() -> None:
    assert RING.lookup_hash("account", "6217") == RING.lookup_hash("account", "6217")
    assert RING.lookup_hash("account", "6217") != RING.lookup_hash("phone", "6217")
    assert RING.lookup_hash("account", "6217") != new_key_ring().lookup_hash("account", "6217")


def test_nothing_stays_nothing() -> None:
    assert RING.encrypt("phone", "") == RING.decrypt("phone", "") == RING.lookup_hash("phone", "") == ""


def test_a_new_key_reads_what_the_old_one_wrote_and_finds_it_by_the_same_hash() -> None:
    sealed = RING.encrypt("account", "6217000012345678")
    rotated = RING.with_new_key()
    assert rotated.decrypt("account", sealed) == "6217000012345678"
    assert rotated.encrypt("account", "1").startswith("k2:")
    assert rotated.lookup_hash("account", "1") == RING.lookup_hash("account", "1")


def test_the_file_is_made_once_for_its_owner_only_and_read_again(tmp_path) -> None:
    made = open_key_ring(tmp_path)
    assert stat.S_IMODE((tmp_path / KEY_FILE_NAME).stat().st_mode) == 0o600
    assert open_key_ring(tmp_path) == made
    rotated = made.with_new_key()
    save_key_ring(tmp_path, rotated)
    assert open_key_ring(tmp_path) == rotated
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE_NAME]


def test_a_ring_made_meanwhile_by_another_process_is_kept(tmp_path) -> None:
    first = open_key_ring(tmp_path)
    save_key_ring(tmp_path, new_key_ring(), replace=False)
    assert open_key_ring(tmp_path) == first


def test_a_missing_damaged_or_readable_file_stops_with_a_line_that_says_what_to_do(tmp_path) -> None:
    with pytest.raises(ProblemsError, match="从备份恢复"):
        open_key_ring(tmp_path, create=False)
    open_key_ring(tmp_path)
    path = tmp_path / KEY_FILE_NAME
    path.chmod(0o644)
    with pytest.raises(ProblemsError, match="chmod 600"):
        open_key_ring(tmp_path)
    path.chmod(0o600)
    for content in ("", "[]", '{"keys": {}}', json.dumps({"keys": {}, "current": "k1", "lookup_key": ""})):
        path.write_text(content)
        with pytest.raises(ProblemsError, match="不要新建"):
            open_key_ring(tmp_path)


def test_a_ring_never_prints_its_keys() -> None:
    assert "object at" in repr(KeyRing({"k1": b"0" * 32}, "k1", b"1" * 32))
