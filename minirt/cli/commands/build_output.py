"""``build --output``: files, a tar, an archive, a push."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from minirt.cli.build_values import Output
from minirt.cli.session import Session
from minirt.errors import UsageError

if TYPE_CHECKING:
    from minirt.engine.images import Image

__all__ = ["deliver"]


def deliver(session: Session, image: Image, output: Output, names: list[str]) -> None:
    """Carry out one output. Raises PathNotFound, StoreError, RegistryError and its kinds, Cancelled."""
    if output.push:
        _push(session, names)
    if output.kind == "local":
        files = session.engine.images.files(image.id)
        session.engine.images.unpack(files, session.cwd / output.dest, session.cancel)
    elif output.kind == "tar":
        _write(session, session.engine.images.files(image.id), output)
    elif output.dest:
        # One archive is both: an OCI layout, and what docker load takes.
        archive = session.engine.images.archive(image.id, names, compression=output.compression)
        if output.tar:
            _write(session, archive, output)
        else:
            session.engine.images.unpack(archive, session.cwd / output.dest, session.cancel)


def _push(session: Session, names: list[str]) -> None:
    if not names:
        error = UsageError("tag is needed when pushing to registry", hint="Name the image with -t REGISTRY/NAME:TAG.")
        error.exit_code = 1
        raise error
    for name in names:
        with session.progress(session, "push", name, "auto") as sink:
            session.engine.images.push(name, on_event=sink, cancel=session.cancel)


def _write(session: Session, chunks: Iterator[bytes], output: Output) -> None:
    if output.dest != "-":
        from minirt.cli.commands.transfer import write_whole

        write_whole(session.cwd / output.dest, b"", chunks, session, "write the build's result")
        return
    if session.interactive:
        error = UsageError(f"dest file is required for {output.kind} exporter. refusing to write to console")
        error.exit_code = 1
        raise error
    for chunk in chunks:
        session.cancel.check()
        session.stdout.write(chunk)
    session.stdout.flush()
