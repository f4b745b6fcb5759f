"""docker's filters over containers, volumes and what prune may take: a name and one or several values each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from minirt.errors import InvalidInput, MinirtError

if TYPE_CHECKING:
    from minirt.engine.container import Container
    from minirt.engine.facade import Engine

__all__ = ["STATES", "Wanted", "container_filter", "has_labels", "label_filter", "prune_filter", "wanted_values"]

STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
Wanted = Mapping[str, Sequence[str]]
_CONTAINERS = (
    "ancestor", "before", "exited", "expose", "health", "id", "is-task", "label", "name", "network", "publish", "since",
    "status", "volume",
)  # fmt: skip
_HEALTH = ("starting", "healthy", "unhealthy", "none")
_PRUNE = ("label", "label!", "until")


def wanted_values(filters: Mapping[str, Any], known: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """docker-py's forms: a value, a list, ``True``. Raises :class:`InvalidInput` for a name that is not ``known``."""
    found = {}
    for name, given in filters.items():
        if name not in known:
            raise _refused(f"invalid filter '{name}'", f"There are: {', '.join(known)}.")
        values = given if isinstance(given, list | tuple | set) else [given]
        found[name] = tuple(str(value).lower() if isinstance(value, bool) else str(value) for value in values)
    return found


def container_filter(engine: Engine, filters: Mapping[str, Any]) -> Callable[[Container], bool]:
    """Several values of one filter are alternatives (labels: all must hold), different filters must all hold.

    Raises :class:`InvalidInput`, and ContainerNotFound for ``before`` and ``since``.
    """
    wanted = wanted_values(filters, _CONTAINERS)
    for name, known in (("status", STATES), ("health", _HEALTH)):
        for value in wanted.get(name, ()):
            if value not in known:
                raise _refused(
                    f"invalid filter '{name}={value}': invalid value for {'state' if name == 'status' else name}"
                    f" ({value}): must be one of {', '.join(known)}", "",
                )  # fmt: skip
    limits = {name: [engine.containers.get(other).record.created for other in wanted.get(name, ())]
              for name in ("before", "since")}  # fmt: skip
    images = _image_ids(engine, wanted.get("ancestor", ()))

    def allows(container: Container) -> bool:
        attrs = container.attrs
        created = container.record.created
        return (
            _by_names(attrs, wanted)
            and _by_state(attrs["State"], wanted)
            and _by_places(attrs, wanted)
            and ("ancestor" not in wanted or attrs["Image"] in images)
            and all(created < other for other in limits["before"])
            and all(created > other for other in limits["since"])
            and wanted.get("is-task", ("false",)) != ("true",)
        )

    return allows


def has_labels(labels: Mapping[str, str], wanted: Sequence[str]) -> bool:
    """``name`` or ``name=value``, all of them."""
    pairs = (text.partition("=") for text in wanted)
    return all(name in labels and (not equals or labels[name] == value) for name, equals, value in pairs)


def label_filter(filters: Mapping[str, Any]) -> Callable[[Mapping[str, str]], bool]:
    """``label`` and ``label!``."""
    wanted = wanted_values(filters, _PRUNE)

    def allows(labels: Mapping[str, str]) -> bool:
        refused = wanted.get("label!", ())
        return has_labels(labels, wanted.get("label", ())) and not any(has_labels(labels, [one]) for one in refused)

    return allows


def prune_filter(filters: Mapping[str, Any]) -> Callable[[Mapping[str, str], str], bool]:
    """As :func:`label_filter`, with ``until``: a time, seconds since 1970, or how long ago (``24h``)."""
    wanted = wanted_values(filters, _PRUNE)
    by_label = label_filter(filters)
    latest = [_moment(text) for text in wanted.get("until", ())]

    def allows(labels: Mapping[str, str], created: str) -> bool:
        return by_label(labels) and all(created < moment for moment in latest)

    return allows


def _moment(text: str) -> str:
    units = {"h": 3600.0, "ms": 0.001, "m": 60.0, "s": 1.0}
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|m|s)", text)
    if parts and "".join(amount + unit for amount, unit in parts) == text:
        moment = datetime.now(UTC) - timedelta(seconds=sum(float(amount) * units[unit] for amount, unit in parts))
    else:
        try:
            moment = datetime.fromtimestamp(float(text), UTC)
        except ValueError:
            try:
                moment = datetime.fromisoformat(text).astimezone(UTC)
            except ValueError:
                raise _refused(f"invalid filter 'until={text}'", "Write 24h, or 2013-01-02T13:23:37Z.") from None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")


def _by_names(attrs: Mapping[str, Any], wanted: Wanted) -> bool:
    name = attrs["Name"].lstrip("/")
    return (
        ("id" not in wanted or any(attrs["Id"].startswith(one) for one in wanted["id"]))
        and ("name" not in wanted or any(_fits(one, name) or _fits(one, f"/{name}") for one in wanted["name"]))
        and has_labels(attrs["Config"].get("Labels") or {}, wanted.get("label", ()))
    )


def _fits(pattern: str, text: str) -> bool:
    """Docker's names are regular expressions; what is none is taken as it is."""
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return pattern in text


def _by_state(state: Mapping[str, Any], wanted: Wanted) -> bool:
    health = (state.get("Health") or {}).get("Status", "none")
    ended = not state["Running"] and state["Status"] != "created"
    return (
        ("status" not in wanted or state["Status"] in wanted["status"])
        and ("exited" not in wanted or (ended and str(state["ExitCode"]) in wanted["exited"]))
        and ("health" not in wanted or health in wanted["health"])
    )


def _by_places(attrs: Mapping[str, Any], wanted: Wanted) -> bool:
    mounts = [text for one in attrs["Mounts"] for text in (one.get("Name"), one.get("Source"), one["Destination"])]
    joined = attrs["NetworkSettings"]["Networks"]
    networks = [*joined, *(place.get("NetworkID", "") for place in joined.values())]
    ports = attrs["NetworkSettings"].get("Ports") or {}
    exposed = attrs["Config"].get("ExposedPorts") or {}
    published = [  # the machine's ports, as docker's daemon compares them
        f"{place['HostPort']}/{port.partition('/')[2]}" for port, places in ports.items() for place in places or ()
    ]
    return (
        ("volume" not in wanted or any(one in mounts for one in wanted["volume"]))
        and ("network" not in wanted or any(one in networks for one in wanted["network"]))
        and ("publish" not in wanted or _has_port(published, wanted["publish"]))
        and ("expose" not in wanted or _has_port(exposed, wanted["expose"]))
    )


def _has_port(ports: Sequence[str] | Mapping[str, Any], wanted: Sequence[str]) -> bool:
    """``80``, ``80/udp``, ``8000-8010/tcp``."""
    for text in wanted:
        numbers, _, kind = text.partition("/")
        first, _, last = numbers.partition("-")
        if not first.isdigit() or not (last or first).isdigit():
            raise _refused(f"invalid filter: invalid port: {text}", "Write 80, 80/udp or 8000-8010.")
        for port in ports:
            number, _, protocol = port.partition("/")
            if int(first) <= int(number) <= int(last or first) and protocol == (kind or "tcp"):
                return True
    return False


def _image_ids(engine: Engine, names: Sequence[str]) -> set[str]:
    """Ids of the images named, and of those made of them."""
    found: list[Any] = []
    for name in names:
        try:
            found.append(engine.images.get(name))
        except MinirtError:
            continue  # docker: an image that is not there has no containers
    if not found:
        return set()
    below = [tuple(image.attrs["RootFS"]["Layers"]) for image in found]
    ids = {image.id for image in found}
    for image in engine.images.list(all=True):
        layers = tuple(image.attrs["RootFS"]["Layers"])
        if any(one and layers[: len(one)] == one for one in below):
            ids.add(image.id)
    return ids


def _refused(what: str, hint: str) -> InvalidInput:
    error = InvalidInput(what, hint=hint)
    error.exit_code = 1
    return error
