"""One tree of errors.

Every error a user can meet is here, so that one ``except MinirtError`` is enough and so that the kernel, the
command line and the tests print them the same way::

    MinirtError
    ├── InvalidInput            what was typed cannot be understood
    │   ├── InvalidReference      an image name, tag or digest
    │   ├── InvalidDigest
    │   ├── InvalidPlatform
    │   ├── InvalidDocument       JSON of an image, an index, a state file
    │   ├── InvalidSpec           a volume, port, user, mount … specification
    │   ├── UsageError            an unknown command or flag
    │   └── DockerfileError       always with a location: file, line, caret
    ├── NotFound                what was named does not exist
    │   ├── ImageNotFound
    │   ├── ContainerNotFound
    │   ├── VolumeNotFound
    │   ├── NetworkNotFound
    │   ├── BlobNotFound
    │   └── PathNotFound
    ├── Conflict                it exists, is in use, or is in the wrong state
    │   ├── NameInUse
    │   ├── ImageInUse
    │   ├── ImageShared
    │   ├── ContainerIsRunning
    │   ├── ContainerNotRunning
    │   └── VolumeInUse
    ├── StoreError              the home on disk
    │   ├── CorruptBlob           a digest or size does not match
    │   ├── StorageFull
    │   └── HomeUnusable
    ├── LayerError              a layer's tar cannot be read, or would escape
    ├── RegistryError           a registry said no, or could not be reached
    │   ├── RegistryUnreachable
    │   └── RegistryDenied
    ├── BuildError              a build step failed
    │   ├── RunFailed             a RUN command ended with an exit code
    │   ├── CopyFailed            COPY or ADD could not find or write something
    │   └── TooManyLayers
    ├── ContainerFailed         a container that was waited for ended with an exit code other than 0
    ├── SandboxError            a container could not be started
    │   ├── CommandNotFound       exit code 127
    │   ├── CommandNotExecutable  exit code 126
    │   └── SpawnerLost           the helper process is gone
    ├── Unsupported             this machine, or this version, cannot do it
    └── Cancelled               the user interrupted
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BlobNotFound",
    "BuildError",
    "Cancelled",
    "CommandNotExecutable",
    "CommandNotFound",
    "Conflict",
    "ContainerFailed",
    "ContainerIsRunning",
    "ContainerNotFound",
    "ContainerNotRunning",
    "CopyFailed",
    "CorruptBlob",
    "DockerfileError",
    "HomeUnusable",
    "ImageInUse",
    "ImageNotFound",
    "ImageShared",
    "InvalidDigest",
    "InvalidDocument",
    "InvalidInput",
    "InvalidPlatform",
    "InvalidReference",
    "InvalidSpec",
    "LayerError",
    "Location",
    "MinirtError",
    "NameInUse",
    "NetworkNotFound",
    "NotFound",
    "PathNotFound",
    "RegistryDenied",
    "RegistryError",
    "RegistryUnreachable",
    "RunFailed",
    "SandboxError",
    "SpawnerLost",
    "StorageFull",
    "StoreError",
    "TooManyLayers",
    "Unsupported",
    "UsageError",
    "VolumeInUse",
    "VolumeNotFound",
]


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a text the user wrote.

    ``line`` and ``column`` count from 1; ``length`` is in characters and is at least 1. ``text`` is the whole
    line, without its newline, so that the error can be drawn long after the file is gone.
    """

    source: str
    line: int
    column: int = 1
    length: int = 1
    text: str = ""

    def draw(self) -> str:
        """The line with a caret under the place, ready for a monospaced page."""
        head = f"  {self.line} | "
        # Tabs stay tabs in the padding, so that the caret stands under its character at any tab width.
        before = "".join("\t" if c == "\t" else " " for c in self.text[: self.column - 1])
        room = max(1, len(self.text) - self.column + 1)
        caret = "^" * max(1, min(self.length, room))
        return f"{head}{self.text}\n{' ' * (len(head) - 2)}| {before}{caret}"

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}"


class MinirtError(Exception):
    """Something a user can understand and act on.

    ``what`` happened (one sentence, no final period), ``where`` in the user's text, the likely ``cause``, and
    ``hint``: what to do. ``exit_code`` is the one the ``docker`` command would end with.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: Location | None = None,
        cause: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.cause = cause
        self.hint = hint

    def explain(self) -> str:
        """The whole error as plain text: what, where with a caret, the likely cause, what to do."""
        lines = [self.what]
        if self.where is not None:
            lines += [f"  at {self.where.source}, line {self.where.line}:", self.where.draw()]
        if self.cause:
            lines.append(f"Likely cause: {self.cause}")
        if self.hint:
            lines.append(f"What to do: {self.hint}")
        return "\n".join(lines)


class InvalidInput(MinirtError):
    """What was typed cannot be understood."""

    exit_code = 125


class InvalidReference(InvalidInput):
    """Not an image name, tag or digest."""


class InvalidDigest(InvalidInput):
    """Not a digest such as ``sha256:…``."""


class InvalidPlatform(InvalidInput):
    """Not a platform such as ``linux/amd64``."""


class InvalidDocument(InvalidInput):
    """A JSON document does not have the fields its specification asks for."""


class InvalidSpec(InvalidInput):
    """A volume, port, user or mount specification cannot be understood."""


class UsageError(InvalidInput):
    """An unknown command or flag, or a flag without its value."""


class NotATerminal(InvalidInput):
    """A terminal was asked for where nobody can type."""

    exit_code = 1


class DockerfileError(InvalidInput):
    """A Dockerfile that cannot be parsed; ``where`` is always set."""

    exit_code = 1


class NotFound(MinirtError):
    """What was named does not exist."""


class ImageNotFound(NotFound):
    """No image of that name in the store."""


class ContainerNotFound(NotFound):
    """No container of that name or id."""


class VolumeNotFound(NotFound):
    """No volume of that name."""


class NetworkNotFound(NotFound):
    """No network of that name."""


class BlobNotFound(NotFound):
    """The store does not hold that digest."""


class PathNotFound(NotFound):
    """A path on the machine or in a container does not exist."""


class Conflict(MinirtError):
    """It exists already, is in use, or is in the wrong state."""


class NameInUse(Conflict):
    """Another container has that name."""

    exit_code = 125


class ImageInUse(Conflict):
    """A container uses the image."""


class ImageShared(Conflict):
    """The image is in a shared store, which is only read here."""


class ContainerIsRunning(Conflict):
    """The container must be stopped first."""


class ContainerNotRunning(Conflict):
    """The container must be running."""


class VolumeInUse(Conflict):
    """A container uses the volume."""


class StoreError(MinirtError):
    """The home on disk cannot be used as it is."""


class CorruptBlob(StoreError):
    """Bytes do not have the digest or the size they were announced with."""


class StorageFull(StoreError):
    """The disk, or the quota, is full; nothing half-written was kept."""


class HomeUnusable(StoreError):
    """``$MINIRT_HOME`` cannot be created, read or written."""


class LayerError(MinirtError):
    """A layer's tar cannot be read, or one of its entries would leave the tree."""


class RegistryError(MinirtError):
    """A registry answered with an error."""


class RegistryUnreachable(RegistryError):
    """No answer at all: no network, a wrong name, a closed port."""


class RegistryDenied(RegistryError):
    """The registry wants other credentials, or none would do."""


class BuildError(MinirtError):
    """A build step failed."""


class RunFailed(BuildError):
    """A RUN command ended with an exit code other than 0."""

    def __init__(self, what: str, *, exit_code: int, where: Location | None = None, cause: str = "", hint: str = ""):
        super().__init__(what, where=where, cause=cause, hint=hint)
        self.status = exit_code


class CopyFailed(BuildError):
    """COPY or ADD could not find, read or write something."""


class TooManyLayers(BuildError):
    """The image would have more layers than can be mounted."""


class ContainerFailed(MinirtError):
    """A container that was waited for ended with an exit code other than 0.

    ``exit_code`` is the container's own; ``stderr`` the end of what it wrote there.
    """

    def __init__(self, what: str, *, exit_code: int, stderr: bytes = b"", cause: str = "", hint: str = ""):
        super().__init__(what, cause=cause, hint=hint)
        self.exit_code = exit_code
        self.stderr = stderr


class SandboxError(MinirtError):
    """A container could not be started."""

    exit_code = 125


class CommandNotFound(SandboxError):
    """The program is not in the container."""

    exit_code = 127


class CommandNotExecutable(SandboxError):
    """The program is there, but cannot be run."""

    exit_code = 126


class SpawnerLost(SandboxError):
    """The helper process that starts containers is gone."""


class Unsupported(MinirtError):
    """Neither this machine nor this version can do it; the message says which."""

    exit_code = 125


class Cancelled(MinirtError):
    """The user interrupted; everything half made was removed."""

    exit_code = 130

    def __init__(self, what: str = "interrupted"):
        super().__init__(what)
