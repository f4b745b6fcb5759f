"""docker-py's ``filters`` of ``client.images.list`` and ``prune``."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from minirt.engine.filters import has_labels, prune_filter, wanted_values
from minirt.images.image import StoredImage

if TYPE_CHECKING:
    from minirt.engine.facade import Engine
    from minirt.engine.images import Image

__all__ = ["image_filter", "prune_words"]

_KNOWN = ("before", "dangling", "label", "reference", "since")
_TRUE = ("true", "1")


def image_filter(engine: Engine, filters: Mapping[str, Any]) -> Callable[[Image], bool]:
    """``before``, ``dangling``, ``label``, ``reference`` (with ``*``), ``since``. Raises :class:`InvalidInput`."""
    wanted = wanted_values(filters, _KNOWN)
    before = [engine.images.get(name).attrs["Created"] for name in wanted.get("before", ())]
    since = [engine.images.get(name).attrs["Created"] for name in wanted.get("since", ())]

    def passes(image: Image) -> bool:
        names = [*image.tags, *(tag.rpartition(":")[0] for tag in image.tags)]
        return (
            ("dangling" not in wanted or (wanted["dangling"][-1] in _TRUE) != bool(image.tags))
            and has_labels(image.labels, wanted.get("label", ()))
            and ("reference" not in wanted or any(fnmatch.filter(names, one) for one in wanted["reference"]))
            and all(image.attrs["Created"] < moment for moment in before)
            and all(image.attrs["Created"] > moment for moment in since)
        )

    return passes


def prune_words(filters: Mapping[str, Any]) -> tuple[bool, Callable[[StoredImage], bool]]:
    """``dangling`` False means all that no container uses; ``label``, ``label!`` and ``until`` choose of them."""
    others = {name: value for name, value in filters.items() if name != "dangling"}
    dangling = wanted_values({"dangling": filters.get("dangling", True)}, ("dangling",))["dangling"][-1] in _TRUE
    chosen = prune_filter(others)
    return not dangling, lambda image: chosen(image.labels, image.config.created or "")
