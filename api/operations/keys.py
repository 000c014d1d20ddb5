"""The key of personal data, for operators: how many values a key seals, and a fresh key for all of them."""

from api.operations.people import OPERATOR
from api.outcome import Outcome
from dashboards.web import Services
from registry.rotation import ciphertexts_by_key, encrypt_anew
from registry.secrets import open_key_ring, save_key_ring

AT_ONCE = 1_000
COLUMNS = {"key": "密钥", "values": "密文数", "state": "状态"}


def key_status(services: Services) -> Outcome:
    """Return the keys of the ring and how many values each of them seals."""
    ring = open_key_ring(services.data_dir, create=False)
    with services.database.reading() as session:
        counts = ciphertexts_by_key(session, OPERATOR)
    rows = tuple(
        {
            "key": name,
            "values": counts.get(name, 0),
            "state": "现用" if name == ring.current else "只读" if name in ring.keys else "缺失",
        }
        for name in sorted({*ring.keys, *counts})
    )
    return Outcome(f"现用密钥 {ring.current}，共 {sum(counts.values())} 个密文", COLUMNS, rows)


def key_rotate(services: Services) -> Outcome:
    """Seal every personal value under a fresh key, part by part; broken off, it goes on where it stopped.

    The ring with the fresh key is on disk before the first value is written with it. While values are still
    under an older key, no further key is made: the rotation that was begun is finished.
    """
    ring = open_key_ring(services.data_dir, create=False)
    with services.database.reading() as session:
        waiting = any(name != ring.current for name in ciphertexts_by_key(session, OPERATOR))
    if not waiting:
        ring = ring.with_new_key()
        save_key_ring(services.data_dir, ring)
    written = 0
    while True:
        with services.database.transaction() as session:
            part = encrypt_anew(session, OPERATOR, ring, services.clock(), at_most=AT_ONCE)
        if not part:
            break
        written += part
    begun = "接着上次，" if waiting else ""
    return Outcome(f"{begun}已用密钥 {ring.current} 重新加密 {written} 个值；请立即备份密钥文件", {})
