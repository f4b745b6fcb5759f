"""What completion and help ask the runtime for, in one place: nothing here starts anything slow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from minirt.errors import MinirtError

if TYPE_CHECKING:
    from minirt_kernel.runtime import Runtime

__all__ = ["Item", "docker_items", "image_items", "instruction", "keyword_items", "path_items"]

_MOST = 200
"""No list that a learner reads is longer; a directory of ten thousand files need not be shown whole."""


class FlagHelp(Protocol):
    """A flag of an instruction: ``name`` with its dashes, ``value`` empty for a switch."""

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def summary(self) -> str: ...


class InstructionHelp(Protocol):
    """What the runtime says of an instruction."""

    @property
    def keyword(self) -> str: ...
    @property
    def flags(self) -> Sequence[FlagHelp]: ...
    def markdown(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Item:
    """One completion: what stands there then, its kind (an icon in JupyterLab), and a word about it."""

    text: str
    kind: str
    note: str = ""


def instruction(keyword: str) -> InstructionHelp | None:
    """The reference of a Dockerfile instruction, or None."""
    from minirt.engine import dockerfile_help

    return dockerfile_help(keyword.upper())


def keyword_items(typed: str) -> list[Item]:
    """The instructions that begin with ``typed``, in the case in which it is typed."""
    from minirt.engine import dockerfile_keywords

    found = [keyword for keyword in dockerfile_keywords() if keyword.startswith(typed.upper())]
    lower = typed.islower()
    return [Item(word.lower() if lower else word, "instruction") for word in found]


def docker_items(runtime: Runtime, words: list[str]) -> list[Item]:
    """What the docker grammar offers for the last of ``words``."""
    from minirt.cli import complete
    from minirt.model.cancel import Cancel
    from minirt_kernel.feed import Feed

    with Cancel() as cancel:
        try:
            found = complete(words, runtime.session(Feed(), cancel))
        except MinirtError:
            return []  # half a line cannot be right yet
    return [Item(item.text, item.kind, item.help) for item in found][:_MOST]


def image_items(runtime: Runtime) -> list[Item]:
    """The names of the images there are; none where the store cannot be read."""
    try:
        images = runtime.engine.images.list()
    except MinirtError:
        return []
    return [Item(tag, "image") for image in images for tag in image.tags][:_MOST]


def path_items(folder: Path, typed: str) -> list[Item]:
    """Files and directories below ``folder`` that begin with ``typed``; directories end with a slash."""
    parent, _, start = typed.rpartition("/")
    where = folder / parent
    found = []
    try:
        with os.scandir(where) as entries:
            for entry in entries:
                if entry.name.startswith(start) and (start.startswith(".") or not entry.name.startswith(".")):
                    slash = "/" if entry.is_dir() else ""
                    name = f"{parent}/{entry.name}" if parent else entry.name
                    found.append(Item(name + slash, "folder" if slash else "path"))
    except OSError:
        return []
    return sorted(found, key=lambda item: item.text)[:_MOST]
