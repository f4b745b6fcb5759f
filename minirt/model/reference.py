"""Image references: ``[registry/]repository[:tag][@digest]`` (distribution/reference, grammar in its docs).

Docker's short names are expanded as docker does: ``alpine`` is ``docker.io/library/alpine:latest``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from minirt.errors import InvalidReference
from minirt.model.digest import Digest

__all__ = ["DEFAULT_REGISTRY", "DEFAULT_TAG", "Reference"]

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_HOST = re.compile(
    r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*"
    r"|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A checked, fully spelt image reference. ``tag`` and ``digest`` may each be absent, never wrong."""

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str, *, default_tag: str | None = DEFAULT_TAG) -> Reference:
        """Read what a user typed. Without tag and digest, ``default_tag`` is taken (``None``: leave it open).

        Raises :class:`InvalidReference`, with the reason and what would be right.
        """
        name, digest = _split_digest(text)
        name, tag = _split_tag(name)
        if not name:
            raise InvalidReference(f"invalid reference format: {text!r} has no name")
        registry, path = _split_registry(name)
        _check_path(text, path)
        if tag is not None and not _TAG.fullmatch(tag):
            raise InvalidReference(
                f"invalid reference format: {tag!r} is not a tag",
                hint="A tag has letters, digits, '_', '.' and '-', at most 128, not '.' or '-' first.",
            )
        if tag is None and digest is None:
            tag = default_tag
        return cls(registry, path, tag, digest)

    @property
    def name(self) -> str:
        """Registry and repository, spelt out: ``docker.io/library/alpine``."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar_name(self) -> str:
        """The name as docker prints it: ``alpine``, ``user/app``, ``ghcr.io/user/app``."""
        if self.registry != DEFAULT_REGISTRY:
            return self.name
        return self.repository.removeprefix("library/")

    @property
    def familiar(self) -> str:
        """Name, tag and digest as docker prints them: ``alpine:3.20``."""
        return self.familiar_name + self._suffix()

    def with_tag(self, tag: str) -> Reference:
        """The same repository under another tag."""
        return replace(self, tag=tag, digest=None)

    def with_digest(self, digest: Digest) -> Reference:
        """The same repository, pinned."""
        return replace(self, tag=None, digest=digest)

    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        digest = f"@{self.digest}" if self.digest is not None else ""
        return tag + digest

    def __str__(self) -> str:
        return self.name + self._suffix()


def _split_digest(text: str) -> tuple[str, Digest | None]:
    name, at, digest = text.partition("@")
    if not at:
        return name, None
    try:
        return name, Digest.parse(digest)
    except Exception as error:
        raise InvalidReference(f"invalid reference format: {error}", hint="After @ stands a digest.") from error


def _split_tag(name: str) -> tuple[str, str | None]:
    # The colon of a port has a slash after it: localhost:5000/app.
    head, colon, tail = name.rpartition(":")
    if not colon or "/" in tail:
        return name, None
    return head, tail


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    looks_like_host = "." in first or ":" in first or first == "localhost" or first.lower() != first
    if slash and looks_like_host:
        if not _HOST.fullmatch(first):
            raise InvalidReference(f"invalid reference format: {first!r} is not a registry's host name")
        registry = DEFAULT_REGISTRY if first in ("index.docker.io", "registry-1.docker.io") else first
        path = rest
    else:
        registry, path = DEFAULT_REGISTRY, name
    if registry == DEFAULT_REGISTRY and "/" not in path:
        path = f"library/{path}"
    return registry, path


def _check_path(text: str, path: str) -> None:
    if re.fullmatch(r"(?:library/)?[a-f0-9]{64}", path):
        raise InvalidReference(f"invalid reference format: {text!r} is 64 hex digits, which only an id may be")
    if _PATH.fullmatch(path) and len(path) <= 255:
        return
    if path.lower() != path and _PATH.fullmatch(path.lower()):
        raise InvalidReference(
            f"invalid reference format: repository name {path.removeprefix('library/')!r} must be lowercase",
            hint=f"Write {text.lower()!r}.",
        )
    raise InvalidReference(
        f"invalid reference format: {text!r}",
        cause="a repository name has lower-case letters and digits, with '.', '_', '-' or '/' between them",
        hint="In a manual, [ ] means: may be left out. Write name, or name:tag." if "[" in text else "",
    )
