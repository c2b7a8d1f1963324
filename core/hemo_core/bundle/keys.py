"""ed25519 keys (RFC 8032): making a pair, and reading either half.

Files are PEM, as ``openssl genpkey -algorithm ed25519`` writes them: PKCS #8 for the private half, SubjectPublicKeyInfo
(RFC 8410) for the public one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hemo_core.bundle.manifest import MANIFEST
from hemo_core.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding

PREFIX = "ed25519:"
_PRIVATE = "PRIVATE KEY"
_RAW = 32
_LARGEST_FILE = 64 * 1024
_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half.

    Attributes:
        raw: its 32 bytes.
    """

    raw: bytes

    @property
    def text(self) -> str:
        """One line for a setting: ``ed25519:`` and the 32 bytes in base64."""
        return PREFIX + base64.b64encode(self.raw).decode()

    @property
    def key_id(self) -> str:
        """sha256 of the key's DER form (SubjectPublicKeyInfo), 64 hex digits."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return hashlib.sha256(self._encoded(Encoding.DER)).hexdigest()

    @property
    def pem(self) -> bytes:
        """The content of a public key file."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return self._encoded(Encoding.PEM)

    def accepts(self, signature: bytes, message: bytes) -> bool:
        """Whether the private half made this signature, 64 bytes, of this message."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def _encoded(self, encoding: Encoding) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import PublicFormat

        key = Ed25519PublicKey.from_public_bytes(self.raw)
        return key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


def public_half(private: Ed25519PrivateKey) -> PublicKey:
    """The public half of a private key."""
    return PublicKey(private.public_key().public_bytes_raw())


def parse_public_key(text: str) -> PublicKey:
    """A public key out of ``ed25519:<base64>`` or out of the PEM file of that name.

    Raises:
        ValueError: it is neither.
        SettingsError: it is a private key; a ValueError's text would be repeated in the message.
    """
    if _PRIVATE in text:
        raise SettingsError("a private key was given where a public one belongs", hint="it is no secret any more")
    if text.startswith(PREFIX):
        try:
            raw = base64.b64decode(text.removeprefix(PREFIX), validate=True)
        except binascii.Error as error:
            raise ValueError("what follows ed25519: is no base64") from error
        if len(raw) != _RAW:
            raise ValueError(f"an ed25519 key has {_RAW} bytes, not {len(raw)}")
        return PublicKey(raw)
    return _read_public(Path(text))


def make_pair(path: Path, passphrase: str | None = None) -> tuple[PublicKey, Path]:
    """Write a new private key to ``path`` (mode 0600) and its public half to ``path.pub``.

    Args:
        passphrase: encrypts the private key.

    Returns:
        The public half and its file.

    Raises:
        UsageError: a file is there already, the folder cannot be written to, or is a bundle's.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public_path = path.with_name(f"{path.name}.pub")
    if any((folder / MANIFEST).exists() for folder in path.resolve().parents):
        raise UsageError("a private key has no place in a bundle", path=str(path), hint="take another folder")
    for taken in (path, public_path):
        if os.path.lexists(taken):
            raise UsageError("exists already", path=str(taken), hint="a key is never overwritten; take another name")
    private = Ed25519PrivateKey.generate()
    public = public_half(private)
    _write_new(path, _private_pem(private, passphrase), 0o600)
    _write_new(public_path, public.pem, 0o644)
    return public, public_path


def read_private_key(path: Path, ask: Callable[[], str]) -> Ed25519PrivateKey:
    """Read a private key. What is in the file appears in no message.

    Args:
        ask: gives the passphrase; called if the key is encrypted.

    Raises:
        UsageError: no ed25519 key is there, others may read the file, or the passphrase is wrong.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _read_secret(path)
    try:
        try:
            key = load_pem_private_key(content, None)
        except TypeError:  # it is encrypted
            key = load_pem_private_key(content, ask().encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        said = "is no private key in PEM form, or the passphrase is wrong"
        raise UsageError(said, path=str(path), hint="hemo-batch bundle keygen makes one") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError("is no ed25519 key", path=str(path), hint="hemo-batch bundle keygen makes one")
    return key


def _private_pem(private: Ed25519PrivateKey, passphrase: str | None) -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        KeySerializationEncryption,
        NoEncryption,
        PrivateFormat,
    )

    hidden: KeySerializationEncryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)


def _read_secret(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            content = file.read(_LARGEST_FILE)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", path=str(path)) from error
    if mode & _OTHERS:
        raise UsageError(f"others may use this private key (mode {mode:04o})", path=str(path), hint=f"chmod 600 {path}")
    return content


def _read_public(path: Path) -> PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE)
    except OSError as error:
        raise ValueError(f"no key can be read there: {error.strerror}") from error
    if _PRIVATE.encode() in content:
        raise ValueError("that is a private key; name its public half, the .pub file")
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("that file holds no public key in PEM form") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("that is no ed25519 key")  # noqa: TRY004 - a value that cannot be used, not a wrong type
    return PublicKey(key.public_bytes_raw())


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that must not be there yet; a link in its place is not followed."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", path=str(path)) from error
