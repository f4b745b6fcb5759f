"""``port``: where the machine answers for a container."""

from __future__ import annotations

from minirt.cli.grammar import command
from minirt.cli.session import Session
from minirt.errors import NotFound
from minirt.networks.ports import parse_exposed

__all__ = ["port"]


@command(
    "port",
    "List port mappings or a specific mapping for the container",
    usage="CONTAINER [PRIVATE_PORT[/PROTO]]",
    arity=(1, 2),
    operands="container",
)
def port(session: Session, arguments: tuple[str, ...]) -> None:
    ports = session.engine.containers.get(arguments[0]).ports
    if len(arguments) == 1:
        lines = [f"{name} -> {place}" for name, places in sorted(ports.items()) for place in _texts(places)]
    else:
        [wanted] = parse_exposed([arguments[1]])[:1]
        lines = _texts(ports.get(wanted))
        if not lines:
            raise NotFound(
                f"No public port '{arguments[1]}' published for {arguments[0]}",
                hint=f"`docker port {arguments[0]}` lists those that are; EXPOSE alone publishes nothing.",
            )
    session.print("".join(f"{line}\n" for line in lines))


def _texts(places: list[dict[str, str]] | None) -> list[str]:
    hosts = ((f"[{place['HostIp']}]" if ":" in place["HostIp"] else place["HostIp"], place) for place in places or ())
    return [f"{host}:{place['HostPort']}" for host, place in hosts]
