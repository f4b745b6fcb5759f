"""``events``: what happened in this home, and what happens from now on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from minirt.cli.common import FORMAT, filter_flag
from minirt.cli.grammar import command, value
from minirt.cli.moments import moment
from minirt.cli.session import Session
from minirt.cli.templates import Fields, Template
from minirt.cli.values import Filters

__all__ = ["events"]

_NAMED = ("container", "image", "network", "volume")
_FILTERS = (*_NAMED, "event", "label", "type", "scope", "daemon")


@command(
    "events",
    "Get real time events from the server",
    flags=[
        filter_flag(),
        FORMAT(),
        value("--since", "", "Show all events created since timestamp"),
        value("--until", "", "Stream events until this timestamp"),
    ],
)
def events(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    filters = Filters(options["filters"], _FILTERS)
    since, until = (_nanoseconds(moment(options[name])) for name in ("since", "until"))
    form = options["form"]
    template = Template(form) if form and form != "json" else None
    if until is not None and since is None:
        since = 0
    for event in session.engine.events(since=since, until=until, cancel=session.cancel):
        if _passes(event, filters):
            session.print(_text(event, form, template) + "\n")


def _nanoseconds(when: datetime | None) -> int | None:
    return None if when is None else int(when.timestamp() * 1_000_000) * 1000


def _text(event: dict[str, Any], form: str, template: Template | None) -> str:
    if form in ("json", "{{json .}}"):
        return json.dumps(event, separators=(",", ":"), ensure_ascii=False)
    if template is not None:
        plain = {"Time": event["time"], "TimeNano": event["timeNano"], "Scope": event["scope"]}
        old = {"Status": event.get("status", ""), "ID": event.get("id", ""), "From": event.get("from", "")}
        return template.render(Fields({**plain, **old, **event}))
    attributes = ", ".join(f"{name}={text}" for name, text in event["Actor"]["Attributes"].items())
    actor = f"{event['Type']} {event['Action']} {event['Actor']['ID']}"
    return f"{_time(event['timeNano'])} {actor}" + (f" ({attributes})" if attributes else "")


def _time(nanoseconds: int) -> str:
    """RFC 3339 in local time, always with nine digits of a second."""
    whole = datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC).astimezone()
    zone = whole.strftime("%z")
    shown = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    return f"{whole.strftime('%Y-%m-%dT%H:%M:%S')}.{nanoseconds % 1_000_000_000:09d}{shown}"


def _passes(event: dict[str, Any], filters: Filters) -> bool:
    attributes: dict[str, str] = event["Actor"]["Attributes"]
    action = event["Action"]
    return (
        filters.allows("type", event["Type"])
        and filters.allows("scope", event["scope"])
        and filters.allows("event", action, action.partition(":")[0])
        and filters.labels(attributes)
        and all(_about(event, kind, filters.wanted(kind)) for kind in _NAMED if filters.wanted(kind))
    )


def _about(event: dict[str, Any], kind: str, wanted: list[str]) -> bool:
    identity, attributes = event["Actor"]["ID"], event["Actor"]["Attributes"]
    if event["Type"] != kind:
        return kind == "image" and event["Type"] == "container" and attributes.get("image") in wanted
    names = {identity, attributes.get("name", ""), *_without_tag(attributes.get("name", ""))}
    return any(text in names or (len(text) > 3 and identity.startswith(text)) for text in wanted)


def _without_tag(name: str) -> Iterator[str]:
    head, colon, tail = name.rpartition(":")
    if colon and "/" not in tail:
        yield head
