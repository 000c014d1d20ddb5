"""Encryption and keyed hashes of personal fields.

Owns the key ring: one file in the data directory, made at the first start, readable by its owner only.
ID numbers, bank accounts and phones are stored as AES-256-GCM ciphertexts and looked up by keyed
hashes. It knows no table; who may see a plain value is decided by its callers.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store.problem import Problem, ProblemsError

KEY_FILE_NAME = "personal-data.key"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class WrongKeyError(RuntimeError):
    """A ciphertext does not belong to this key ring, to this field, or was altered."""


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """Encryption keys by id, the id that new values use, and the key of the look-up hashes.

    A key is only ever added: values name the key that they were written with, so that old values stay
    readable while they are written anew. The look-up key stays the same for ever.
    """

    keys: Mapping[str, bytes]
    current: str
    lookup_key: bytes

    def encrypt(self, field: str, plain: str) -> str:
        """Return the ciphertext text of a value, bound to the name of its field; empty stays empty."""
        if not plain:
            return ""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self.keys[self.current]).encrypt(nonce, plain.encode(), field.encode())
        return f"{self.current}:{base64.b64encode(nonce + sealed).decode()}"

    def decrypt(self, field: str, sealed: str) -> str:
        """Return the plain value; raises WrongKeyError when key, field or content do not fit."""
        if not sealed:
            return ""
        key_id, _, body = sealed.partition(":")
        key = self.keys.get(key_id)
        if key is None:
            raise WrongKeyError(f"个人信息由密钥 {key_id} 加密，本机的密钥文件里没有它")
        try:
            content = base64.b64decode(body, validate=True)
            plain = AESGCM(key).decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], field.encode())
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise WrongKeyError("个人信息密文损坏，或密钥不符") from error
        return plain.decode()

    def lookup_hash(self, field: str, plain: str) -> str:
        """Return the keyed hash [64 hex digits] by which a value is found again; empty stays empty."""
        if not plain:
            return ""
        return hmac.new(self.lookup_key, f"{field}\0{plain}".encode(), hashlib.sha256).hexdigest()

    def with_new_key(self) -> "KeyRing":
        """Return a ring with a fresh key for new values; the older ones stay for reading."""
        key_id = f"k{len(self.keys) + 1}"
        return KeyRing({**self.keys, key_id: secrets.token_bytes(_KEY_BYTES)}, key_id, self.lookup_key)


def new_key_ring() -> KeyRing:
    """Return a fresh ring with one random key."""
    return KeyRing({"k1": secrets.token_bytes(_KEY_BYTES)}, "k1", secrets.token_bytes(_KEY_BYTES))


def open_key_ring(data_directory: Path, *, create: bool = True) -> KeyRing:
    """Return the key ring of a data directory; makes it where there is none and `create` allows.

    Raises ProblemsError when the file is missing, damaged, or readable by others than its owner.
    """
    path = data_directory / KEY_FILE_NAME
    if not path.exists():
        if not create:
            raise ProblemsError(
                [_problem(path, "密钥文件不存在", "请从备份恢复密钥文件；没有它就读不出个人信息")]
            )
        save_key_ring(data_directory, new_key_ring(), replace=False)
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ProblemsError([_problem(path, "密钥文件可被其他用户读取", f"请执行 chmod 600 {path}")])
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        keys = {key_id: base64.b64decode(key, validate=True) for key_id, key in plain["keys"].items()}
        ring = KeyRing(keys, plain["current"], base64.b64decode(plain["lookup_key"], validate=True))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProblemsError([_problem(path, "密钥文件已损坏", "请从备份恢复密钥文件，不要新建")]) from error
    if ring.current not in keys or any(len(key) != _KEY_BYTES for key in (*keys.values(), ring.lookup_key)):
        raise ProblemsError([_problem(path, "密钥文件缺少密钥或长度不对", "请从备份恢复密钥文件，不要新建")])
    return ring


def save_key_ring(data_directory: Path, ring: KeyRing, *, replace: bool = True) -> None:
    """Write the ring to the data directory, whole or not at all, readable by its owner only.

    Without `replace`, a file that another process made meanwhile is left as it is.
    """
    data_directory.mkdir(parents=True, exist_ok=True)
    path = data_directory / KEY_FILE_NAME
    plain = {
        "keys": {key_id: base64.b64encode(key).decode() for key_id, key in ring.keys.items()},
        "current": ring.current,
        "lookup_key": base64.b64encode(ring.lookup_key).decode(),
    }
    draft = path.with_suffix(f".{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(plain, stream)
        stream.flush()
        os.fsync(stream.fileno())
    if replace:
        draft.replace(path)
    else:
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    directory = os.open(data_directory, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _problem(path: Path, what: str, how_to_fix: str) -> Problem:
    return Problem(str(path), what, how_to_fix)
