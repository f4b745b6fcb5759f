"""What an archive held, after one pass: small documents, large blobs, and links between members."""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass, field
from typing import Any

from minirt.errors import InvalidDigest, InvalidDocument
from minirt.model.digest import Digest
from minirt.model.manifest import Descriptor

__all__ = ["Archive", "Blob", "Link", "Text"]


@dataclass(frozen=True, slots=True)
class Text:
    """A small member, in memory."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Blob:
    """A member that went into the store."""

    descriptor: Descriptor


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic or hard link; ``target`` is a key of the archive (docker save links equal layers)."""

    target: str


@dataclass(slots=True)
class Archive:
    """Members by their normal path, such as ``blobs/sha256/…`` or ``<id>/layer.tar``; ``texts``: bytes in memory."""

    members: dict[str, Text | Blob | Link] = field(default_factory=dict)
    texts: int = 0

    @staticmethod
    def key(name: str) -> str:
        """One spelling for ``./a``, ``/a`` and ``a``. Names never become paths on the disk."""
        return posixpath.normpath("/" + name).lstrip("/")

    @classmethod
    def target(cls, path: str, link: str, *, hard: bool) -> str:
        """Where a link leads: a hard link from the archive's root, a symbolic one from its own directory."""
        return cls.key(link) if hard else cls.key(posixpath.join(posixpath.dirname(path), link))

    @staticmethod
    def promised(path: str) -> Digest | None:
        """The digest that a member ``blobs/<algorithm>/<hex>`` must have."""
        parts = path.split("/")
        if len(parts) != 3:
            return None
        try:
            return Digest.parse(f"{parts[1]}:{parts[2]}")
        except InvalidDigest as error:
            raise InvalidDocument(f"the archive has a blob with an impossible name: {path}") from error

    def find(self, path: str) -> Text | Blob | None:
        """The member at ``path``, through links."""
        for _ in range(8):
            member = self.members.get(self.key(path))
            if not isinstance(member, Link):
                return member
            path = member.target
        return None

    def need(self, path: str, what: str) -> Text | Blob:
        """Raises :class:`InvalidDocument` if the member is not there."""
        member = self.find(path)
        if member is None:
            raise InvalidDocument(
                f"the archive is incomplete: {path} is missing",
                cause=f"it is {what}",
                hint="Save the image again; a broken download ends like this too.",
            )
        return member

    def document(self, name: str) -> Any:
        """A JSON document at the top of the archive, None if it is not there. Raises :class:`InvalidDocument`."""
        member = self.find(name)
        if not isinstance(member, Text):
            return None
        try:
            return json.loads(member.data)
        except ValueError as error:
            raise InvalidDocument(f"the archive's {name} is not JSON: {error}") from error
