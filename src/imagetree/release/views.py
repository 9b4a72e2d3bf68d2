"""The public view of a hidden split: pictures to classify, and nothing that tells the answer."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from imagetree.core.errors import IntegrityFailure

KEY_BYTES = 32


def view_key(path: Path) -> bytes:
    """The release's secret key, 32 random bytes, made at the first call with mode 0600."""
    if not path.exists():
        part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(KEY_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        try:
            # A link never replaces: of two processes the first one's key stays.
            os.link(part, path)
        except FileExistsError:
            pass
        finally:
            part.unlink()
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise IntegrityFailure(
            f"{path.name} is not a key of {KEY_BYTES} bytes.",
            hint="Bring it back from a backup: a new key would change every public id.",
        )
    return key


def public_ids(sha256s: Iterable[str], *, key: bytes) -> dict[str, str]:
    """Opaque id (32 hex digits) to SHA-256, in the order of the ids, which is a shuffle.

    Who has a photo but not the key cannot tell its id. Only the keys of this mapping are public.
    """
    ids = {hmac.new(key, one.encode(), hashlib.sha256).hexdigest()[:32]: one for one in sha256s}
    return dict(sorted(ids.items()))
