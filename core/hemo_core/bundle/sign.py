"""Putting ``bundle.sig`` into a bundle, whichever form it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hemo_core.bundle.archive import pack
from hemo_core.bundle.keys import public_half
from hemo_core.bundle.manifest import SIGNATURE
from hemo_core.bundle.opening import open_bundle
from hemo_core.bundle.sealed import Bundle
from hemo_core.bundle.signatures import SHORT, check_signature, sign
from hemo_core.errors import UsageError
from hemo_core.files import write_durably

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def sign_bundle(path: Path, private: Ed25519PrivateKey, *, again: bool = False) -> Bundle:
    """Verify a bundle, sign it, and write the signature into its folder or its ``.hemo`` file.

    Args:
        path: a bundle's folder or a ``.hemo`` file. Only ``bundle.sig`` changes.
        again: replace the signature of another key.

    Returns:
        The bundle with its signature, verified.

    Raises:
        BundleError: the bundle is refused; nothing was signed.
        UsageError: it carries another key's signature.
        SinkError: it cannot be written to.
    """
    found = open_bundle(path)
    public = public_half(private)
    if found.signature is not None and found.signature.key_id != public.key_id and not again:
        said = f"is signed by another key, {found.signature.key_id[:SHORT]}…"
        raise UsageError(said, path=str(path), hint="a bundle holds one signature; --again replaces it")
    made = sign(found.digest, private)
    check_signature(made, found.digest, [public], str(path))
    if path.is_file():
        pack(replace(found, signature=made), path)
    else:  # what is not whole yet lies beside the folder, where nobody takes it for a stowaway
        write_durably(path / SIGNATURE, made.to_bytes(), path.resolve().parent)
    return open_bundle(path, [public])
