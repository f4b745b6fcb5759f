"""``cp``, ``export`` and ``import``: files on their way into and out of containers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minirt.cli.grammar import command, switch, value, values
from minirt.cli.session import Session
from minirt.cli.units import human_size
from minirt.containers.copy_rules import split_name
from minirt.errors import InvalidInput, PathNotFound, Unsupported, UsageError
from minirt.model.reference import Reference

__all__ = ["cp", "export", "import_"]


@command(
    "cp",
    "Copy files/folders between a container and the local filesystem",
    usage="[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tdocker cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    arity=(2, 2),
    operands="container",
    flags=[
        switch("--archive", "a", "Archive mode (copy all uid/gid information)"),
        switch("--follow-link", "L", "Always follow symbol link in SRC_PATH"),
        switch(
            "--quiet", "q", "Suppress progress output during copy. Progress output is automatically suppressed if no"
            " terminal is attached",
        ),
    ],
)  # fmt: skip
def cp(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    (source_name, source), (target_name, target) = split_name(arguments[0]), split_name(arguments[1])
    if source_name and target_name:
        raise _mistake("copying between containers is not supported")
    if not source_name and not target_name:
        raise _mistake("must specify at least one container source")
    if not (source if source_name else target):
        raise _mistake("the path in the container cannot be empty")
    how = {"follow": options["follow_link"], "archive": options["archive"]}
    if source_name:
        container = session.engine.containers.get(source_name)
        if target == "-":
            _to_stdout(session, container, source, how["follow"])
            return
        size = container.copy_out(source, _outside(session, target), **how)
        _told(session, options["quiet"], size, target)
        return
    container = session.engine.containers.get(target_name)
    if source == "-":
        _from_stdin(session, container, target_name, target, how["archive"])
        return
    size = container.copy_in(_outside(session, source), target, **how)
    _told(session, options["quiet"], size, f"{target_name}:{target}")


def _outside(session: Session, path: str) -> str:
    """An absolute path whose end stays as typed: a slash or a dot there means something."""
    return path if path.startswith("/") else f"{session.cwd}/{path}"


def _to_stdout(session: Session, container: Any, path: str, follow: bool) -> None:
    if session.interactive:
        raise _mistake("cowardly refusing to write an archive to a terminal. Redirect it: > FILE")
    if follow and not path.endswith("/"):
        path = session.engine.files.existing(container.record, path, follow=True).place.real
    for chunk in container.get_archive(path)[0]:
        session.cancel.check()
        session.stdout.write(chunk)
    session.stdout.flush()


def _from_stdin(session: Session, container: Any, name: str, path: str, archive: bool) -> None:
    found = session.engine.files.look(container.record, path, follow=True).place
    if not (found.exists and found.directory):
        raise _mistake(f'destination "{name}:{path}" must be a directory')
    container.put_archive(path, session.stdin, archive=archive)


def _told(session: Session, quiet: bool, size: int, target: str) -> None:
    if not quiet and session.interactive:
        session.complain(f"Successfully copied {human_size(size)} to {target}\n")


def _mistake(what: str) -> UsageError:
    error = UsageError(what)
    error.exit_code = 1
    return error


@command(
    "export",
    "Export a container's filesystem as a tar archive",
    usage="[OPTIONS] CONTAINER",
    arity=(1, 1),
    operands="container",
    flags=[value("--output", "o", "Write to a file, instead of STDOUT")],
)
def export(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    container = session.engine.containers.get(arguments[0])
    if options["output"]:
        from minirt.cli.commands.transfer import write_whole

        chunks: Iterator[bytes] = container.export()
        write_whole(session.cwd / options["output"], b"", chunks, session, "export container")
        return
    if session.interactive:
        raise _mistake("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    for chunk in container.export():
        session.cancel.check()
        session.stdout.write(chunk)
    session.stdout.flush()


@command(
    "import",
    "Import the contents from a tarball to create a filesystem image",
    usage="[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    arity=(1, 2),
    operands="path",
    flags=[
        values("--change", "c", "Apply Dockerfile instruction to the created image"),
        value("--message", "m", "Set commit message for imported image"),
        value("--platform", "", "Set platform if server is multi-platform capable"),
    ],
)
def import_(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    source, name = arguments[0], arguments[1] if len(arguments) > 1 else None
    ref = Reference.parse(name) if name else None
    how = {
        "repository": ref and str(ref),
        "changes": options["change"],
        "message": options["message"],
        "platform": options["platform"] or None,
        "cancel": session.cancel,
    }
    if source == "-":
        image = session.engine.images.import_image(session.stdin, source="-", **how)
    elif source.startswith(("http://", "https://")):
        raise Unsupported(
            "import reads files and standard input, not addresses", hint=f"curl {source} | docker import -"
        )
    else:
        image = _from_file(session, Path(session.cwd, source), source, how)
    session.print(f"{image.id}\n")


def _from_file(session: Session, path: Path, source: str, how: dict[str, Any]) -> Any:
    try:
        file = path.open("rb")
    except OSError as error:
        raise PathNotFound(f"open {source}: {(error.strerror or os.strerror(2)).lower()}") from error
    with file:
        try:
            return session.engine.images.import_image(file, source=source, **how)
        except IsADirectoryError:
            mistake = InvalidInput(
                f"{source} is a directory", hint=f"Pack it first: tar -C {source} -c . | docker import -"
            )
            mistake.exit_code = 1
            raise mistake from None
