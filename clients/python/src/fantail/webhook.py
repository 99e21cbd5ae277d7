"""Verifies what Fantail delivers to webhooks."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Optional, Protocol, Sequence, Tuple, Union

from ._ed25519 import verify as verify_ed25519
from .errors import SignatureError

MAX_SIGNATURES = 32


class Headers(Protocol):
    """Headers as any framework has them: a dict, or what looks like one."""

    def items(self) -> Iterable[Tuple[str, str]]: ...


@dataclass(frozen=True)
class Webhook:
    """A delivery that is what it says.

    id: the same on every try of a delivery: by it a repeat is known. ``signing: terra`` does not sign it.
    """

    event: Dict[str, Any]
    id: str


def verify_terra(
    secret: Union[str, Sequence[str]],
    headers: Headers,
    body: bytes,
    *,
    tolerance: float = 300,
    now: Optional[float] = None,
    brand: str = "terra",
) -> Webhook:
    """Verifies a delivery with ``signing: terra``, and returns the event.

    secret: several while one is replaced by another.
    headers: of the request, by their names in any case.
    body: the raw bytes: JSON that was parsed and printed again has another signature.
    tolerance: seconds that the signature's time may be from now.

    Raises SignatureError for anything that none of the secrets signed, or that is too old.
    """
    known = lower(headers)
    found = re.fullmatch(r"t=(0|[1-9][0-9]{0,11}),v1=([0-9a-f]{64})", known.get(brand + "-signature", ""))
    if not found:
        raise SignatureError("malformed", f"the header {brand}-signature is not of the form t=...,v1=...")
    content = found[1].encode() + b"." + raw(body)
    made = [hmac.compare_digest(hmac.new(s.encode(), content, hashlib.sha256).hexdigest(), found[2]) for s in secrets(secret)]
    settle(made, found[1], tolerance, now)
    return Webhook(parse(body), known.get(f"x-{brand}-trace-id", ""))


def verify_standard(
    secret: Union[str, Sequence[str]], headers: Headers, body: bytes, *, tolerance: float = 300, now: Optional[float] = None
) -> Webhook:
    """Verifies a delivery with ``signing: standard-webhooks``, and returns the event.

    secret: ``whsec_...`` (HMAC) or ``whpk_...`` (ed25519); several while one is replaced by another.
    The rest is as of verify_terra.
    """
    known = lower(headers)
    identity, at = known.get("webhook-id", ""), known.get("webhook-timestamp", "")
    signatures = known.get("webhook-signature", "").split(" ")
    if not identity or "." in identity or not re.fullmatch(r"0|[1-9][0-9]{0,11}", at, re.ASCII) or len(signatures) > MAX_SIGNATURES:
        raise SignatureError("malformed", "the headers webhook-id, webhook-timestamp and webhook-signature are not those of a signature")
    content = f"{identity}.{at}.".encode("utf-8", "surrogateescape") + raw(body)
    made: List[bool] = []
    for text in secrets(secret):
        key = key_of(text)
        version = "v1," if text.startswith("whsec_") else "v1a,"
        sums = [decode(one[len(version) :]) for one in signatures if one.startswith(version)]
        if version == "v1,":
            want = hmac.new(key, content, hashlib.sha256).digest()
            made += [hmac.compare_digest(want, one) for one in sums if one is not None]
        else:
            made += [verify_ed25519(key, one, content) for one in sums if one is not None]
    settle(made, at, tolerance, now)
    return Webhook(parse(body), identity)


def settle(made: List[bool], at: str, tolerance: float, now: Optional[float]) -> None:
    if not any(made):
        raise SignatureError("mismatch", "none of the secrets made this signature of this body")
    if not abs((time.time() if now is None else now) - int(at)) <= tolerance:  # of NaN nothing is true
        raise SignatureError("time", "the signature is too old, or of the future")


def secrets(secret: Union[str, Sequence[str]]) -> List[str]:
    every = [secret] if isinstance(secret, str) else list(secret or [])
    if not every or not all(isinstance(one, str) and one for one in every):
        raise ValueError("a secret is empty or missing: whoever signs with an empty one would be believed")
    return every


def key_of(text: str) -> bytes:
    kind = text[:6] if text.startswith("whsec_") else text[:5]
    key = decode(text[len(kind) :]) if kind in ("whsec_", "whpk_") else None
    if key is None:
        raise ValueError("a secret of Standard Webhooks begins with whsec_ or whpk_, and base64 follows")
    if not 24 <= len(key) <= 64 if kind == "whsec_" else len(key) != 32:
        raise ValueError(f"what follows {kind} has another length than such a key")
    return key


def decode(text: str) -> Optional[bytes]:
    """Base64 as it is always printed; None for anything else."""
    try:
        made = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return made if base64.b64encode(made).decode() == text else None


def lower(headers: Headers) -> Dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def raw(body: bytes) -> bytes:
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise TypeError("the body must be the raw bytes, before anything decodes or parses it")
    return bytes(body)


def parse(body: bytes) -> Dict[str, Any]:
    try:
        event: Dict[str, Any] = json.loads(body)
    except (ValueError, RecursionError) as cause:
        raise SignatureError("body", "the body is signed, and no JSON") from cause
    return event
