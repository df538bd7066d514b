"""The signature over a release's manifest (Ed25519, RFC 8032): who may not sign cannot make serving answer with it.

manifest.sig stands beside manifest.json and is made of its very bytes. Through the sizes and hashes in the manifest it
covers every file. The signing key stays with the flows; serving has the public key alone.
"""

import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from flows.release_objects import (
    SIGNATURE_NAME,
    BrokenRelease,
    canonical,
    manifest_body,
    object_key,
    put_object,
    read_or_none,
)
from flows.settings import Settings, public_key_of

ALGORITHM = "Ed25519"


def signature_of(manifest: bytes, signing_key: str) -> bytes:
    """Return the content of manifest.sig; the same manifest and key give the same bytes. `signing_key` is hex."""
    signature = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(signing_key)).sign(manifest)
    return canonical({"algorithm": ALGORITHM, "public_key": public_key_of(signing_key), "signature": signature.hex()})


def problem_of_signature(manifest: bytes, signature: bytes | None, public_key: str) -> str | None:
    """Say what is wrong with a signature, None when it is that of `public_key` over these bytes."""
    if signature is None:
        return "it is not signed"
    try:
        content = json.loads(signature)
        if content["algorithm"] != ALGORITHM:
            return f"expected an {ALGORITHM} signature, came {content['algorithm']!r}"
        if content["public_key"] != public_key:
            return f"expected the key {public_key[:16]}…, came one of the key {str(content['public_key'])[:16]}…"
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(
            bytes.fromhex(content["signature"]), manifest
        )
    except InvalidSignature:
        return "the signature is not of these bytes"
    except (ValueError, KeyError, TypeError) as error:
        return f"{SIGNATURE_NAME} is no signature ({type(error).__name__})"
    return None


def sign_manifest(settings: Settings, release_id: str, manifest: bytes) -> None:
    """Put the signature beside the manifest, in place of another key's."""
    put_object(settings, object_key(release_id, SIGNATURE_NAME), signature_of(manifest, settings.signing_key))


def read_signed_manifest(settings: Settings, release_id: str) -> bytes:
    """Return a manifest's bytes after checking its signature. Raises BrokenRelease, ObjectMissing."""
    body = manifest_body(settings, release_id)
    signature = read_or_none(
        settings, object_key(release_id, SIGNATURE_NAME), f"read the signature of release {release_id}"
    )
    problem = problem_of_signature(body, signature, public_key_of(settings.signing_key))
    if problem:
        raise BrokenRelease(
            f"The manifest of release {release_id} cannot be trusted: {problem}. Serving refuses it. If the release is "
            f"yours (made before releases were signed, or by a key that was replaced), sign it again: "
            f"aisle release sign {release_id}"
        )
    return body
