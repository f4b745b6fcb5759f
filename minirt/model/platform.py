"""Platforms such as ``linux/arm64/v8`` (OCI image-spec, image-index.md; containerd's normalisation)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

from minirt.errors import InvalidPlatform

__all__ = ["Platform"]

# What uname calls a machine, in the words of Go that OCI uses: (architecture, variant).
_MACHINES = {
    "x86_64": ("amd64", ""),
    "amd64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "arm64": ("arm64", ""),
    "armv8l": ("arm", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "ppc64le": ("ppc64le", ""),
    "s390x": ("s390x", ""),
    "riscv64": ("riscv64", ""),
    "loongarch64": ("loong64", ""),
}
_PART = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Platform:
    """Operating system, architecture and (often empty) variant, normalised."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Raises :class:`InvalidPlatform`. ``linux`` alone and ``arm64`` alone are completed from this machine."""
        parts = text.strip().split("/")
        if not 1 <= len(parts) <= 3 or not all(_PART.fullmatch(part) for part in parts):
            raise InvalidPlatform(f"{text!r} is not a platform", hint="Write for example linux/amd64 or linux/arm64.")
        if len(parts) == 1:
            if parts[0].lower() in ("linux", "windows", "darwin", "freebsd"):
                return cls(parts[0].lower(), cls.host().architecture, cls.host().variant)
            parts = ["linux", parts[0]]
        variant = parts[2] if len(parts) == 3 else ""
        return cls(parts[0].lower(), *_normalise(parts[1], variant))

    @classmethod
    def host(cls) -> Platform:
        """The platform of containers on this machine."""
        return cls("linux", *_normalise(os.uname().machine if hasattr(os, "uname") else "amd64", ""))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Platform:
        """From the ``platform`` object of an image index."""
        return cls(
            str(data.get("os", "")), *_normalise(str(data.get("architecture", "")), str(data.get("variant", "")))
        )

    def to_json(self) -> dict[str, Any]:
        """The ``platform`` object of an image index."""
        data = {"architecture": self.architecture, "os": self.os}
        return {**data, "variant": self.variant} if self.variant else data

    def runs(self, other: Platform) -> bool:
        """Whether an image of ``other`` runs here without emulation; arm falls back to older variants."""
        if (self.os, self.architecture) != (other.os, other.architecture):
            return False
        return self.architecture != "arm" or (other.variant or "v7") <= (self.variant or "v7")

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def _normalise(architecture: str, variant: str) -> tuple[str, str]:
    name, default = _MACHINES.get(architecture.lower(), (architecture.lower(), ""))
    variant = variant.lower() or default
    if name == "arm64" and variant in ("v8", "8"):
        variant = ""
    if name == "arm" and not variant:
        variant = "v7"
    if name == "amd64" and variant == "v1":
        variant = ""
    return name, variant
