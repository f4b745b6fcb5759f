"""``inspect`` of images, containers, volumes and networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minirt.cli.common import INSPECT_FORMAT, pretty
from minirt.cli.grammar import Command, command, switch, value
from minirt.cli.session import Session
from minirt.cli.template_functions import go_json
from minirt.cli.templates import Template
from minirt.errors import InvalidInput, InvalidReference, MinirtError, NotFound

__all__ = ["container_inspect", "image_inspect", "inspect", "inspector"]

Find = Callable[[Session, str], dict[str, Any]]


def show(session: Session, names: Sequence[str], form: str, find: Find) -> None:
    """Print what was found, then raise for what was not: docker does both."""
    template = Template(form) if form and form != "json" else None
    found: list[dict[str, Any]] = []
    failures: list[MinirtError] = []
    for name in names:
        try:
            found.append(find(session, name))
        except (NotFound, InvalidReference) as error:
            failures.append(error)
    if form == "json":
        session.print(go_json(found) + "\n")
    elif template is not None:
        for data in found:
            session.print(template.render(data) + "\n")
    else:
        session.print(pretty(found) if found else "[]\n")
    for failure in failures[:-1]:
        session.complain_of(failure)
    if failures:
        raise failures[-1]


def _container(session: Session, name: str) -> dict[str, Any]:
    return dict(session.engine.containers.get(name).attrs)


def _image(session: Session, name: str) -> dict[str, Any]:
    return dict(session.engine.images.get(name).attrs)


def _volume(session: Session, name: str) -> dict[str, Any]:
    return dict(session.engine.volumes.get(name).attrs)


def _network(session: Session, name: str) -> dict[str, Any]:
    from minirt.cli.commands.networks import find

    return find(session, name)


FINDERS: dict[str, Find] = {"container": _container, "image": _image, "network": _network, "volume": _volume}


def _any(session: Session, name: str) -> dict[str, Any]:
    for find in FINDERS.values():
        try:
            return find(session, name)
        except (NotFound, InvalidReference):
            continue
    raise NotFound(
        f"No such object: {name}", hint="`docker ps -a`, `docker images` and `docker volume ls` list what is."
    )


@command(
    "inspect",
    "Return low-level information on Docker objects",
    usage="[OPTIONS] NAME|ID [NAME|ID...]",
    arity=(1, None),
    operands="any",
    flags=[
        INSPECT_FORMAT(),
        switch("--size", "s", "Display total file sizes if the type is container"),
        value("--type", "", "Only inspect objects of the given type", name="kind"),
    ],
)
def inspect(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    kind = options["kind"]
    if kind and kind not in FINDERS:
        what = f'unknown type: "{kind}": must be one of ' + ", ".join(f'"{name}"' for name in sorted(FINDERS))
        error = InvalidInput(what)
        error.exit_code = 1
        raise error
    find = FINDERS.get(kind, _any)
    show(session, arguments, options["form"], _sized(find) if options["size"] else find)


def _sized(find: Find) -> Find:
    """With the bytes of a container's storage layer, and of that together with its image."""

    def both(session: Session, name: str) -> dict[str, Any]:
        data = find(session, name)
        if "HostConfig" not in data:  # no container
            return data
        container = session.engine.containers.get(data["Id"])
        own = session.engine.lifecycle.storage_bytes(container.record)
        return {**data, "SizeRw": own, "SizeRootFs": own + container.image.size}

    return both


def inspector(kind: str, text: str) -> Command:
    """``docker KIND inspect``."""

    @command(
        "inspect",
        text,
        usage=f"[OPTIONS] {kind.upper()} [{kind.upper()}...]",
        arity=(1, None),
        operands=kind,
        flags=[
            INSPECT_FORMAT(),
            *([switch("--size", "s", "Display total file sizes")] if kind == "container" else []),
        ],
    )
    def body(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
        find = FINDERS[kind]
        show(session, arguments, options["form"], _sized(find) if options.get("size") else find)

    return body


image_inspect = inspector("image", "Display detailed information on one or more images")
container_inspect = inspector("container", "Display detailed information on one or more containers")
