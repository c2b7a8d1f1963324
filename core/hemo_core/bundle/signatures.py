"""``bundle.sig``: who vouches for a bundle. A detached ed25519 signature (RFC 8032) over the digest of ``bundle.json``.

``bundle.json`` holds the digest of every other file, so the signature is over the whole bundle. What is signed is one
line of ASCII, which no other program's signature can be mistaken for: ``hemo-batch bundle sha256:<64 hex digits>``,
ended by a line feed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hemo_core.bundle.keys import PublicKey, public_half
from hemo_core.bundle.manifest import canonical
from hemo_core.errors import (
    BundleUnsigned,
    BundleUntrusted,
    SignatureForeign,
    SignatureMalformed,
    SignatureWrong,
)
from hemo_core.records import encode, load

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LARGEST_SIGNATURE = 4096
SHORT = 16
_LENGTH = 64
_FETCH = "fetch the bundle again, or have it signed again"


@dataclass(frozen=True, slots=True)
class Signature:
    """The content of ``bundle.sig``.

    Attributes:
        digest: sha256 of the ``bundle.json`` that was signed, 64 hex digits.
        key_id: names the key, see :attr:`hemo_core.bundle.keys.PublicKey.key_id`.
        signature: 64 bytes, base64 in the file.
    """

    digest: str
    key_id: str
    signature: bytes
    algorithm: Literal["ed25519"] = "ed25519"
    schema_version: Literal[1] = 1

    def to_bytes(self) -> bytes:
        """The file's bytes, in the canonical form of ``bundle.json``."""
        return canonical(encode(self))

    @classmethod
    def from_bytes(cls, raw: bytes, where: str) -> Signature:
        """Read ``bundle.sig``.

        Args:
            where: what to call it in messages.

        Raises:
            SignatureMalformed: it is torn, of a newer schema, or spelt in another than the canonical form.
        """
        found = load(cls, raw, error=SignatureMalformed, what="signature", path=where)
        if len(found.signature) != _LENGTH or found.to_bytes() != raw:
            raise SignatureMalformed("is torn, or not spelt as a signature is", path=where, hint=_FETCH)
        return found


@dataclass(frozen=True, slots=True)
class SignatureState:
    """What an installation makes of a bundle's signature.

    Attributes:
        state: ``unsigned``; ``unchecked``: no key is trusted here; ``trusted``; ``refused``.
        key_id: the key that the signature names; empty without one.
        code: of the error that a worker refuses the bundle with; empty if it does not.
    """

    state: str
    key_id: str = ""
    code: str = ""

    def in_words(self) -> str:
        """One line."""
        signed = f"by key {self.key_id[:SHORT]}…" if self.key_id else "none"
        told = {
            "unsigned": "none",
            "unchecked": f"{signed}, not checked: no key is trusted here",
            "trusted": f"{signed}, verified: this key is trusted here",
            "refused": f"{signed}; workers here refuse it: {self.code}",
        }
        return told[self.state]


def signature_state(signature: Signature | None, digest: str, trusted: Sequence[PublicKey]) -> SignatureState:
    """As :func:`check_signature`, in words instead of errors."""
    key_id = "" if signature is None else signature.key_id
    try:
        checked = check_signature(signature, digest, trusted, "")
    except BundleUntrusted as error:
        return SignatureState("refused", key_id, error.code)
    if checked:
        return SignatureState("trusted", key_id)
    return SignatureState("unchecked" if key_id else "unsigned", key_id)


def message(digest: str) -> bytes:
    """What is signed for the ``bundle.json`` of this digest."""
    return f"hemo-batch bundle sha256:{digest}\n".encode()


def sign(digest: str, private: Ed25519PrivateKey) -> Signature:
    """Sign the digest of a ``bundle.json``; the same key and digest give the same signature."""
    return Signature(digest, public_half(private).key_id, private.sign(message(digest)))


def check_signature(signature: Signature | None, digest: str, trusted: Sequence[PublicKey], where: str) -> str:
    """Whether one of the trusted keys vouches for a bundle.

    Args:
        signature: None if the bundle has none.
        digest: sha256 of its ``bundle.json``.
        trusted: none: an absent signature is fine, a present one must be about this ``bundle.json``.
        where: what to call the bundle in messages.

    Returns:
        Id of the key that signed; empty if none is trusted and nothing was to be checked.

    Raises:
        BundleUnsigned, SignatureForeign, SignatureWrong: it must not be used.
    """
    if signature is not None and signature.digest != digest:
        raise SignatureWrong("its signature is about another bundle.json", path=where, hint=_FETCH)
    if not trusted:
        return ""
    if signature is None:
        hint = "take a signed bundle, or sign this one: hemo-batch bundle sign"
        raise BundleUnsigned("is not signed, and only signed bundles are trusted here", path=where, hint=hint)
    key = next((key for key in trusted if key.key_id == signature.key_id), None)
    if key is None:
        said = f"is signed by key {signature.key_id[:SHORT]}…, which is not trusted here"
        raise SignatureForeign(said, path=where, hint="if you do trust its owner: --trusted-key, HEMO_TRUSTED_KEYS")
    if not key.accepts(signature.signature, message(digest)):
        raise SignatureWrong(f"its signature is not key {key.key_id[:SHORT]}…'s", path=where, hint=_FETCH)
    return key.key_id
