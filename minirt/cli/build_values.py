"""What stands in the options of ``build``: outputs, secrets, named contexts (docker/buildx, util/buildflags)."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from minirt.errors import InvalidSpec, PathNotFound
from minirt.model.reference import Reference

__all__ = [
    "OUTPUTS",
    "Output",
    "build_contexts",
    "read_output",
    "secrets",
]

OUTPUTS = ("image", "local", "tar", "oci", "docker", "registry", "cacheonly")
# With SOURCE_DATE_EPOCH the times of files in layers are never younger; documents are OCI's.
_FIXED = {"oci-mediatypes": True, "store": True, "rewrite-timestamp": True, "platform-split": True, "inline": True}
_MOST_SECRET = 500 * 1024  # BuildKit, session/secrets: larger ones are refused


@dataclass(frozen=True, slots=True)
class Output:
    """One ``--output``: its ``kind`` is of :data:`OUTPUTS`; ``dest`` a path, ``-`` for standard output, or empty.

    ``compression`` is ``gzip``, with a level from 0 to 9 if one was asked for, or empty: layers as they are.
    """

    kind: str
    dest: str = ""
    names: tuple[str, ...] = ()
    push: bool = False
    tar: bool = True
    compression: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def stores(self) -> bool:
        """Whether the image itself is wanted, not only its files or an archive of it."""
        return self.kind in ("image", "registry") or (self.kind == "docker" and not self.dest)


def read_output(text: str) -> Output:
    """``type=local,dest=out``, or a path alone: a directory for local, ``-`` for a tar. Raises ValueError."""
    if "=" not in text:
        return Output("tar", "-") if text == "-" else Output("local", text)
    fields = dict(_pairs(text))
    kind = fields.pop("type", "")
    if not kind:
        raise ValueError("type is required for output")
    if kind not in OUTPUTS:
        raise ValueError(f"type {kind} is none of {', '.join(OUTPUTS)}")
    names = tuple(Reference.parse(name).familiar for name in fields.pop("name", "").split(",") if name)
    push = _truth(fields.pop("push", "false")) or kind == "registry"
    tar = _truth(fields.pop("tar", "true"))
    notes = {name: fields.pop(name) for name in tuple(fields) if name.startswith("annotation")}
    notes = {name.partition(".")[2]: value for name, value in notes.items()}
    output = Output(kind, fields.pop("dest", ""), names, push, tar, _compression(kind, fields), notes)
    _packing(kind, fields)
    if fields:
        raise ValueError(f"unknown field {min(fields)!r}")
    if kind == "local" and not output.dest:
        raise ValueError("dest is required for local output")
    if kind in ("tar", "oci") and not output.dest:
        return replace(output, dest="-")
    return output


def _compression(kind: str, fields: dict[str, str]) -> str:
    """What layers of an archive are packed with; in the store and on the way to a registry they are as they are."""
    wanted = fields.pop("compression", "")
    level = fields.pop("compression-level", "")
    if wanted and wanted not in ("uncompressed", "gzip", "zstd", "estargz"):
        raise ValueError(f"unsupported layer compression type {wanted}")
    if wanted in ("zstd", "estargz"):
        raise ValueError(f"compression={wanted}: minirt packs layers with gzip, or leaves them uncompressed")
    if wanted == "gzip" and (kind in ("image", "registry", "docker") and not fields.get("dest", "")):
        raise ValueError(
            f"compression=gzip of type={kind}: layers lie in the store as plain tar; type=oci can pack them"
        )
    if level and not (wanted == "gzip" and level.isdigit() and int(level) <= 9):
        raise ValueError(f"compression-level={level}: gzip has levels from 0 to 9")
    return f"{wanted}{level}" if wanted == "gzip" else ""


def _packing(kind: str, fields: dict[str, str]) -> None:
    """Fields that ask for what minirt does anyway; what it does otherwise is refused."""
    for name, fixed in _FIXED.items():
        if name in fields and _truth(fields.pop(name)) is not fixed:
            raise ValueError(f"{name}={str(not fixed).lower()}: minirt does it the other way")
    for name in ("force-compression", "unpack", "dangling-name-prefix", "name-canonical", "push-by-digest"):
        if name in fields and _truth(fields.pop(name)):
            raise ValueError(f"{name} is not to be had here")


def build_contexts(pairs: Sequence[str], cwd: Path) -> dict[str, str]:
    """``NAME=`` and a path, an address, ``docker-image://IMAGE`` or ``oci-layout://PATH``. Raises InvalidSpec."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name or not value:
            raise InvalidSpec(f"invalid context value: {pair}, expected key=value")
        if value.startswith("docker-image://"):
            Reference.parse(value.removeprefix("docker-image://"))
            found[name] = value
        elif value.startswith("oci-layout://"):
            found[name] = f"oci-layout://{cwd / value.removeprefix('oci-layout://')}"
        elif "://" in value or value.startswith(("target:", "git@", "github.com/")):
            found[name] = value
        else:
            found[name] = _directory(pair, value, cwd)
    return found


def _directory(pair: str, value: str, cwd: Path) -> str:
    path = cwd / value
    if not path.is_dir():
        raise PathNotFound(
            f"failed to get build context {pair.partition('=')[0]}: stat {value}: no such directory",
            cause=f"the working directory is {cwd}",
        )
    return str(path)


def secrets(texts: Sequence[str], environment: Mapping[str, str], cwd: Path) -> dict[str, bytes]:
    """``id=NAME[,src=FILE|,env=VARIABLE]``; without either, the variable or else the file of that name.

    Raises :class:`InvalidSpec`, :class:`PathNotFound`.
    """
    found = {}
    for text in texts:
        try:
            fields = dict(_pairs(text))
        except ValueError as error:
            raise InvalidSpec(f"invalid secret {text!r}: {error}", hint="Write id=NAME,src=FILE.") from error
        name = fields.pop("id", "")
        kind = fields.pop("type", "")
        source = fields.pop("src", "") or fields.pop("source", "")
        variable = fields.pop("env", "")
        if fields or kind not in ("", "file", "env") or not name:
            why = f"unexpected key '{min(fields)}'" if fields else "id is required" if not name else f"type {kind}"
            raise InvalidSpec(f"invalid secret {text!r}: {why}", hint="Write id=NAME,src=FILE or id=NAME,env=VARIABLE.")
        if kind == "env" and source and not variable:
            source, variable = "", source
        found[name] = _secret(name, source, variable, kind, environment, cwd)
    return found


def _secret(name: str, source: str, variable: str, kind: str, environment: Mapping[str, str], cwd: Path) -> bytes:
    if not source and not variable:
        variable = name if kind != "file" and name in environment else ""
        source = "" if variable else name
    if variable:
        if variable not in environment:
            raise InvalidSpec(f"secret {name}: the variable {variable} is not set", hint="Export it first.")
        value = environment[variable].encode("utf-8", "surrogateescape")
    else:
        try:
            value = (cwd / Path(source).expanduser()).read_bytes()
        except OSError as error:
            raise PathNotFound(f"failed to stat {source}: {(error.strerror or '').lower()}") from error
    if len(value) > _MOST_SECRET:
        raise InvalidSpec(f"invalid secret size {len(value) // 1024}KB", hint="A secret has at most 500 KB.")
    return value


def _pairs(text: str) -> list[tuple[str, str]]:
    """The fields of a line of comma-separated ``name=value``, quoted as CSV is. Raises ValueError."""
    pairs = []
    for part in next(csv.reader([text], strict=True), []):
        name, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"invalid field '{part}' must be a key=value pair")
        pairs.append((name.strip().lower(), value))
    return pairs


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() in ("true", "1")
