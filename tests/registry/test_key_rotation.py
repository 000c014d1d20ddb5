"""A fresh key for all personal data: in parts, taken up again after a break, nothing lost, all audited."""

import pytest
from sqlalchemy import text

from api.operations.keys import key_rotate, key_status
from dashboards.web import Services
from registry import rotation, secrets
from registry.actors import Actor, NotPermittedError, Role
from registry.roll.cards import household_card
from store.problem import ProblemsError
from tests.registry.conftest import CLERK, NOW


@pytest.fixture
def services(filled, tmp_path):
    secrets.save_key_ring(tmp_path, filled.ring)
    return Services(filled.database, None, lambda: NOW, tmp_path)


def keys_in_use(services) -> set[str]:
    with services.database.reading() as session:
        return set(rotation.ciphertexts_by_key(session, CLERK))


def test_a_rotation_that_was_broken_off_is_finished_with_the_same_key(filled, services, monkeypatch):
    monkeypatch.setattr("api.operations.keys.AT_ONCE", 5)
    written = rotation.encrypt_anew
    parts = []

    def breaks(*arguments, **options):
        if len(parts) == 2:
            raise KeyboardInterrupt
        parts.append(written(*arguments, **options))
        return parts[-1]

    monkeypatch.setattr("api.operations.keys.encrypt_anew", breaks)
    with pytest.raises(KeyboardInterrupt):
        key_rotate(services)
    assert keys_in_use(services) == {"k1", "k2"}
    ring = secrets.open_key_ring(services.data_dir)
    with services.database.reading() as session:
        cards = [household_card(session, CLERK, ring, one) for one in filled.households]
    assert all(card.members[0].id_number_masked.startswith("520*") for card in cards)
    monkeypatch.setattr("api.operations.keys.encrypt_anew", written)
    told = key_rotate(services)
    assert "接着上次" in told.summary
    assert keys_in_use(services) == {"k2"}
    assert set(secrets.open_key_ring(services.data_dir).keys) == {"k1", "k2"}
    rows = {row["key"]: row for row in key_status(services).rows}
    assert rows["k1"]["values"] == 0
    assert rows["k2"]["values"] == 3 * len(filled.members)


def test_every_number_reads_the_same_and_is_found_again(filled, services):
    key_rotate(services)
    ring = secrets.open_key_ring(services.data_dir)
    with services.database.transaction() as session:
        for home, number in filled.id_number_of.items():
            from registry.households import Disclosure, find_by_id_number, unmask_id_number

            assert find_by_id_number(session, CLERK, ring, number) == (home,)
            member = session.execute(
                text("SELECT id FROM household_member WHERE household_id = :home"), {"home": home}
            ).scalar()
            assert unmask_id_number(session, CLERK, ring, member, Disclosure("核对", NOW)) == number
    actions = ("rotate_key",)
    with services.database.reading() as session:
        found = session.execute(text("SELECT action FROM audit_event WHERE action = 'rotate_key'")).scalars()
        assert tuple(set(found)) == actions


def test_a_lost_key_file_stops_the_rotation_and_makes_no_new_one(services):
    (services.data_dir / secrets.KEY_FILE_NAME).unlink()
    with pytest.raises(ProblemsError, match="从备份恢复"):
        key_rotate(services)
    assert not (services.data_dir / secrets.KEY_FILE_NAME).exists()


@pytest.mark.parametrize(
    ("role", "area"), [(Role.FINANCE, ""), (Role.AUDITOR, ""), (Role.COUNTY, "520491000000")]
)
def test_only_somebody_of_the_whole_installation_rotates(filled, role, area):
    actor = Actor("u", "某人", role, area)
    with filled.database.transaction() as session, pytest.raises((NotPermittedError, PermissionError)):
        rotation.encrypt_anew(session, actor, filled.ring.with_new_key(), NOW)
