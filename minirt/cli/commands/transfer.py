"""``pull``, ``push``, ``save``, ``load``: images on their way in and out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from minirt.cli.grammar import absent, command, switch, value
from minirt.cli.session import Session
from minirt.errors import PathNotFound, UsageError
from minirt.model.events import Event, ImageTagged
from minirt.model.reference import Reference

if TYPE_CHECKING:
    from minirt.engine.images import Image

__all__ = ["load", "pull", "pull_image", "push", "save", "write_whole"]

_CHUNK = 1 << 20


@command(
    "pull",
    "Download an image from a registry",
    usage="[OPTIONS] NAME[:TAG|@DIGEST]",
    arity=(1, 1),
    operands="image",
    flags=[
        absent("--all-tags", "a", "Download all tagged images in the repository", word=""),
        switch("--disable-content-trust", "", "Skip image verification", default=True),
        value("--platform", "", "Set platform if server is multi-platform capable"),
        switch("--quiet", "q", "Suppress verbose output"),
    ],
)
def pull(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    ref = Reference.parse(arguments[0])
    if not options["quiet"] and Reference.parse(arguments[0], default_tag=None) != ref:
        session.print(f"Using default tag: {ref.tag}\n")
    pull_image(session, ref, platform=options["platform"], mode="quiet" if options["quiet"] else "auto")
    session.print(f"{ref}\n")


def pull_image(
    session: Session, ref: Reference, *, platform: str = "", mode: str = "auto", what: str = "pull"
) -> Image:
    """Fetch an image and show it as it comes; ``what`` is ``run`` for a pull on the way to a container."""
    with session.progress(session, what, ref.familiar, mode) as sink:
        return session.engine.images.pull(str(ref), platform=platform or None, on_event=sink, cancel=session.cancel)


@command(
    "push",
    "Upload an image to a registry",
    usage="[OPTIONS] NAME[:TAG]",
    arity=(1, 1),
    operands="image",
    flags=[
        absent("--all-tags", "a", "Push all tags of an image to the repository", word=""),
        switch("--disable-content-trust", "", "Skip image signing", default=True),
        switch("--quiet", "q", "Suppress verbose output"),
    ],
)
def push(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    ref = Reference.parse(arguments[0])
    if not options["quiet"]:
        if Reference.parse(arguments[0], default_tag=None) != ref:
            session.print(f"Using default tag: {ref.tag}\n")
        session.print(f"The push refers to repository [{ref.name}]\n")
    with session.progress(session, "push", ref.familiar, "quiet" if options["quiet"] else "auto") as sink:
        digest = session.engine.images.push(arguments[0], on_event=sink, cancel=session.cancel)
    session.print(f"{ref}\n" if options["quiet"] else f"{ref.tag}: digest: {digest}\n")


@command(
    "save",
    "Save one or more images to a tar archive (streamed to STDOUT by default)",
    usage="[OPTIONS] IMAGE [IMAGE...]",
    arity=(1, None),
    operands="image",
    flags=[
        value("--output", "o", "Write to a file, instead of STDOUT"),
        absent("--platform", "", "Save only the given platform variant"),
    ],
)
def save(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    if not options["output"]:
        if session.interactive:
            error = UsageError("cowardly refusing to save to a terminal. Use the -o flag or redirect")
            error.exit_code = 1
            raise error
        for chunk in session.engine.images.save(arguments):
            session.stdout.write(chunk)
        session.stdout.flush()
        return
    path = session.cwd / options["output"]
    chunks = iter(session.engine.images.save(arguments))
    first = next(chunks, b"")  # an image that is not here is found out before the file is touched
    write_whole(path, first, chunks, session, "save image")


def write_whole(path: Path, first: bytes, chunks: Iterator[bytes], session: Session, task: str) -> None:
    """The archive appears under its name only when it is complete. ``task`` is what fails, in docker's words."""
    if path.is_dir() or not path.parent.is_dir():
        reason = "is a directory" if path.is_dir() else "no such directory"
        raise PathNotFound(f"failed to {task}: {path}: {reason}")
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("xb") as file:
            file.write(first)
            for chunk in chunks:
                session.cancel.check()
                file.write(chunk)
        # Not over a device or a pipe, such as /dev/stdout: those are written to, not replaced.
        if path.exists() and not path.is_file():
            with partial.open("rb") as source, path.open("wb") as target:
                while data := source.read(_CHUNK):
                    target.write(data)
        else:
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@command(
    "load",
    "Load an image from a tar archive or STDIN",
    flags=[
        value("--input", "i", "Read from tar archive file, instead of STDIN", name="source"),
        switch("--quiet", "q", "Suppress the load output"),
        absent("--platform", "", "Load only the given platform variant"),
    ],
)
def load(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    if options["source"]:
        path = session.cwd / options["source"]
        try:
            file = path.open("rb")
        except OSError as error:
            raise PathNotFound(f"open {options['source']}: {(error.strerror or '').lower()}") from error
        with file:
            _load(session, file)
        return
    if session.interactive:
        mistake = UsageError("requested load from stdin, but stdin is empty", hint="Use -i FILE, or redirect: < FILE.")
        mistake.exit_code = 1
        raise mistake
    _load(session, session.stdin)


def _load(session: Session, stream: BinaryIO) -> None:
    named: dict[str, list[str]] = {}  # by the archive: an image that was here before may have more names

    def note(event: Event) -> None:
        if isinstance(event, ImageTagged):
            named.setdefault(event.image_id, []).append(event.name)

    for image in session.engine.images.load(stream, on_event=note, cancel=session.cancel):
        lines = [f"Loaded image: {name}" for name in named.get(image.id, ())] or [f"Loaded image ID: {image.id}"]
        session.print("\n".join(lines) + "\n")
