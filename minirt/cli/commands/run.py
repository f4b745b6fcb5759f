"""``run`` and ``create``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minirt.cli.commands.attach import detach_keys
from minirt.cli.container_flags import container_flags, engine_options
from minirt.cli.grammar import Flag, command, switch
from minirt.cli.screens import container_program, screen_for
from minirt.cli.session import Session
from minirt.cli.streams import Relay, stdin_descriptor
from minirt.errors import (
    ImageNotFound,
    InvalidSpec,
    MinirtError,
    NameInUse,
    PathNotFound,
    RegistryError,
    Unsupported,
    UsageError,
)
from minirt.images.names import near_names
from minirt.model.platform import Platform
from minirt.model.reference import Reference

if TYPE_CHECKING:
    from minirt.engine.containers import Container

__all__ = ["create", "run"]


def _run_flags() -> list[Flag]:
    return [
        switch("--detach", "d", "Run container in background and print container ID"),
        switch("--sig-proxy", "", "Proxy received signals to the process", default=True),
        detach_keys(),
        *container_flags(),
    ]


@command(
    "run",
    "Create and run a new container from an image",
    usage="[OPTIONS] IMAGE [COMMAND] [ARG...]",
    arity=(1, None),
    operands="image",
    interspersed=False,
    fault=125,
    flags=_run_flags(),
)
def run(session: Session, arguments: tuple[str, ...], **options: Any) -> int:
    if not options["sig_proxy"]:
        raise Unsupported("--sig-proxy=false of run: an interrupt always ends what it interrupts", hint="Use -d.")
    _check_conflicts(options)
    prepared = engine_options(session, options)
    session.engine.warm()  # its helper process starts while the rest of us is loaded
    typed_on = options["interactive"] and not options["detach"]
    with screen_for(session, terminal=options["tty"], interactive=typed_on) as screen:
        container = _create(session, arguments, options, prepared)
        if screen is not None:
            program = container_program(container, container.open, keys=options["detach_keys"], remove=options["rm"])
            return screen.show(program)
    if options["detach"]:
        with _removed_on_failure(container, options["rm"]):
            container.start()
        session.print(f"{container.id}\n")
        return 0
    try:
        attach(session, container, options["interactive"])
    finally:
        if options["rm"]:
            container.remove(force=True, v=True)
    return 0


@command(
    "create",
    "Create a new container",
    usage="[OPTIONS] IMAGE [COMMAND] [ARG...]",
    arity=(1, None),
    operands="image",
    interspersed=False,
    flags=container_flags(),
)
def create(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    container = _create(session, arguments, options, engine_options(session, options))
    session.print(f"{container.id}\n")


def _check_conflicts(options: dict[str, Any]) -> None:
    if options["attach"] and options["detach"]:
        error = UsageError("conflicting options: cannot specify both --attach and --detach")
        error.exit_code = 1
        raise error
    if options["rm"] and options["restart"] not in (None, "no"):
        raise InvalidSpec("conflicting options: cannot specify both --restart and --rm", hint="Leave --rm out.")


def _create(
    session: Session, arguments: tuple[str, ...], options: dict[str, Any], prepared: dict[str, Any]
) -> Container:
    image, *words = arguments
    id_file = session.cwd / options["cidfile"] if options["cidfile"] else None
    if id_file is not None and id_file.exists():
        raise NameInUse(
            f"container ID file found, make sure the other container isn't running or delete {options['cidfile']}"
        )
    _fetch(session, image, options)
    container: Container = session.engine.containers.create(
        image,
        words or None,
        pull="never",
        platform=options["platform"] or None,
        auto_remove=options["rm"],
        cancel=session.cancel,
        **prepared,
    )
    for warning in container.warnings:
        session.complain(f"WARNING: {warning}\n")
    if id_file is not None:
        with _removed_on_failure(container, True):
            _write_id(id_file, container.id)
    return container


def _fetch(session: Session, image: str, options: dict[str, Any]) -> None:
    """See to it that the image is here, as ``--pull`` says; the pull shows on standard error, as docker's does."""
    if options["pull"] != "always":
        try:
            found = session.engine.images.get(image)
        except ImageNotFound:
            if options["pull"] == "never":
                raise
            session.complain(f"Unable to find image '{Reference.parse(image).familiar}' locally\n")
        else:
            wanted = options["platform"]
            # With --pull=never, creating says what is wrong.
            if not wanted or options["pull"] == "never" or _is_here(found, wanted):
                return
    from minirt.cli.commands.transfer import pull_image

    ref = Reference.parse(image)
    mode = "quiet" if options["quiet"] else "auto"
    try:
        pulled = pull_image(session, ref, platform=options["platform"], mode=mode, what="run")
    except (ImageNotFound, RegistryError) as error:
        raise _with_near_name(session, ref, error) from error
    if options["platform"] and not _runs(options["platform"], pulled.attrs):
        raise ImageNotFound(
            f"image with reference {image} was found but does not provide the specified platform"
            f" ({options['platform']})",
            hint="Leave --platform out, or name an image that is made for it.",
        )


def _with_near_name(session: Session, ref: Reference, error: MinirtError) -> MinirtError:
    """Whoever asks a registry for a name that is nearly one of this machine's has probably mistyped it."""
    here = {"minirt/base:latest", *(tag for image in session.engine.images.list() for tag in image.tags)}
    near = near_names(ref.familiar, here)
    if near:
        error.hint = f"Did you mean {' or '.join(near)}? {error.hint}".rstrip()
    return error


def _is_here(found: Any, wanted: str) -> bool:
    """For an image of several platforms: whether the one that is asked for is among those that are here."""
    return any(Platform.parse(wanted).runs(Platform.parse(one)) for one in found.platforms())


def _runs(platform: str, attrs: dict[str, Any]) -> bool:
    here = Platform.from_json({"os": attrs["Os"], "architecture": attrs["Architecture"]})
    return Platform.parse(platform).runs(here)


def attach(session: Session, container: Container, interactive: bool, *, lives_on: bool = False) -> None:
    """Start the container with the session's streams and wait. Raises :class:`minirt.errors.ContainerFailed`."""
    wanted = set(container.record.attached)
    interactive = interactive and ("stdin" in wanted or lives_on)
    if not lives_on and not wanted & {"stdout", "stderr"}:
        session.print(f"{container.id}\n")  # nothing of it will be seen: so at least how to find it
    with stdin_descriptor(session.stdin, interactive) as stdin, Relay(session, wanted).guarding() as relay:
        window = (session.rows, session.columns)
        attachment = container.open(relay, stdin=stdin, window=window, lives_on=lives_on)
        code = container.finish(attachment, session.cancel) or 0
    relay.judge(container.name, code)


@contextlib.contextmanager
def _removed_on_failure(container: Container, remove: bool) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if remove:
            with contextlib.suppress(MinirtError):
                container.remove(force=True, v=True)
        raise


def _write_id(path: Path, identity: str) -> None:
    try:
        path.write_text(identity)
    except OSError as error:
        raise PathNotFound(f"failed to create the container ID file: {path}: {error.strerror}") from error
