"""Who made a release: its manifest is signed (Ed25519, RFC 8032) by a key whose public half serving was given.

Whoever can write to the bucket can move the pointer, but cannot make serving answer with a model of their own.
"""

from pathlib import Path
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from serving.release import ReleaseRejected

SIGNATURE = "manifest.sig"
ALGORITHM = "Ed25519"
ADVICE = "sign it where releases are made with `aisle release sign`, or give serving that key: AISLE_RELEASE_PUBLIC_KEY"


def check_signature(folder: Path, public_keys: tuple[str, ...]) -> None:
    """Check that the manifest in a release's folder was signed by one of these keys (hex). Raises ReleaseRejected."""
    path = folder / SIGNATURE
    if not path.exists():
        raise ReleaseRejected(f"expected a signed manifest, but the release has no {SIGNATURE}: {ADVICE}")
    manifest = (folder / "manifest.json").read_bytes()
    try:
        content = orjson.loads(path.read_bytes())
    except ValueError as error:
        raise ReleaseRejected(f"{SIGNATURE}: expected a signature, but found {error!r}: {ADVICE}") from error
    check_signed(manifest, content, public_keys, "manifest.json", SIGNATURE)


def check_signed(signed: bytes, content: Any, public_keys: tuple[str, ...], document: str, name: str) -> None:
    """Check a signature (algorithm, public_key, signature), found in `name`, over the bytes of a document.

    Raises ReleaseRejected.
    """
    try:
        algorithm, signer, signature = content["algorithm"], content["public_key"], bytes.fromhex(content["signature"])
    except (ValueError, KeyError, TypeError) as error:
        raise ReleaseRejected(f"{name}: expected a signature, but found {error!r}: {ADVICE}") from error
    if algorithm != ALGORITHM or signer not in public_keys:
        known = " or ".join(f"{key[:16]}…" for key in public_keys)
        found = f"{str(algorithm)[:20]} of the key {str(signer)[:16]}…"
        raise ReleaseRejected(
            f"{name}: expected an {ALGORITHM} signature of the key {known}, but found {found}: {ADVICE}"
        )
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(signer)).verify(signature, signed)
    except InvalidSignature as error:
        raise ReleaseRejected(f"{name}: the signature is not of this {document}: {ADVICE}") from error
