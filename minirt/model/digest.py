"""Content digests (OCI image-spec, descriptor.md, "Digests")."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from minirt.errors import InvalidDigest

__all__ = ["Digest", "chain_ids"]

_HEX_LENGTH = {"sha256": 64, "sha512": 128}
_SHAPE = re.compile(r"([a-z0-9]+(?:[.+_-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """``algorithm:hex``, checked. ``str(digest)`` is the form that goes into JSON."""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Raises :class:`InvalidDigest` unless ``text`` is a sha256 or sha512 digest in lower-case hex."""
        match = _SHAPE.fullmatch(text)
        if match is None:
            raise InvalidDigest(f"{text!r} is not a digest", hint="A digest looks like sha256: and 64 hex digits.")
        algorithm, encoded = match.groups()
        length = _HEX_LENGTH.get(algorithm)
        if length is None:
            raise InvalidDigest(f"unknown digest algorithm {algorithm!r}", hint="Use sha256.")
        if not re.fullmatch(rf"[a-f0-9]{{{length}}}", encoded):
            raise InvalidDigest(
                f"{text!r} is not a digest",
                cause=f"{algorithm} needs {length} hex digits in lower case, there are {len(encoded)} characters",
            )
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """The sha256 of ``data``."""
        return cls("sha256", hashlib.sha256(data).hexdigest())

    @property
    def short(self) -> str:
        """The first 12 hex digits, as docker prints ids."""
        return self.hex[:12]

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


def chain_ids(diff_ids: tuple[Digest, ...]) -> tuple[Digest, ...]:
    """The chain id after each layer: it names a layer *and everything below it*.

    OCI image-spec, config.md, "Layer ChainID": the first is the diff id itself, the next the sha256 of
    ``"<chain id> <diff id>"``.
    """
    chain: list[Digest] = []
    for diff_id in diff_ids:
        chain.append(Digest.of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)
