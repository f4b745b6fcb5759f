"""``container.update()``: limits that change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from minirt.containers import limits
from minirt.containers.checks import check_resources, refuse_missing
from minirt.containers.records import ContainerRecord
from minirt.engine.settings_options import read_limits
from minirt.errors import InvalidSpec, UsageError
from minirt.sandbox.restarts import parse_policy, write_policy

if TYPE_CHECKING:
    from minirt.engine.facade import Engine

__all__ = ["update_container"]


def update_container(engine: Engine, record: ContainerRecord, options: Mapping[str, Any]) -> ContainerRecord:
    """``docker update``. Raises InvalidSpec, Unsupported, UsageError."""
    left = {name: value for name, value in options.items() if value is not None}
    restart = left.pop("restart_policy", None)
    if isinstance(restart, Mapping):
        most = restart.get("MaximumRetryCount") or 0
        restart = f"{restart.get('Name') or 'no'}" + (f":{most}" if most else "")
    resources = limits.merged(record.settings.resources, read_limits(left))
    if left:
        raise UsageError(f"container.update() got an option that minirt does not have: {', '.join(sorted(left))}")
    settings = replace(record.settings, resources=resources)
    if restart is not None:
        if record.auto_remove and parse_policy(restart).name != "no":
            raise InvalidSpec("Restart policy cannot be updated because AutoRemove is enabled for the container")
        settings = replace(settings, restart=str(parse_policy(restart)))
    changed = replace(record, settings=settings)
    check_resources(resources)
    refuse_missing(changed, engine.machine)
    lifecycle = engine.lifecycle
    with engine.store.lock(f"container-{record.id}"):
        if lifecycle.state(record).alive:
            try:
                limits.change_limits(record, engine.machine, resources)
            except OSError as error:
                raise InvalidSpec(
                    f"Cannot update container {record.name}: {error.strerror}",
                    cause=f"the kernel refused {error.filename}: it may use more than that already",
                ) from error
        if restart is not None:
            write_policy(str(lifecycle.shelf.directory(record.id)), parse_policy(settings.restart))
        return lifecycle.shelf.add(changed)
