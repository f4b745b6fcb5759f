"""Names for containers that were given none: an adjective and somebody who worked on what containers stand on."""

from __future__ import annotations

import random
import re
from collections.abc import Container

from minirt.errors import InvalidSpec

__all__ = ["check_name", "random_name"]

_ADJECTIVES = (
    "airy", "amber", "bold", "brave", "bright", "calm", "candid", "cheerful", "clever", "cosy", "curious", "deft",
    "eager", "gentle", "glad", "golden", "happy", "honest", "jolly", "keen", "kind", "lively", "lucid", "merry",
    "mellow", "nimble", "patient", "playful", "polite", "quick", "quiet", "serene", "sunny", "swift", "tidy", "witty",
)  # fmt: skip
_PEOPLE = (
    "allen", "babbage", "bartik", "boole", "borg", "cerf", "corbato", "dijkstra", "floyd", "goldberg", "hamilton",
    "hamming", "holberton", "hopper", "johnson", "kay", "kernighan", "knuth", "lamport", "lampson", "liskov",
    "lovelace", "mccarthy", "mcilroy", "noether", "ossanna", "perlman", "ritchie", "shannon", "stallman", "thompson",
    "torvalds", "turing", "vaughan", "wilkes", "zhang",
)  # fmt: skip
_SHAPE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def random_name(taken: Container[str]) -> str:
    """A name that is not in ``taken``, such as ``curious_hopper``."""
    while True:
        name = f"{random.choice(_ADJECTIVES)}_{random.choice(_PEOPLE)}"
        if name not in taken:
            return name
        numbered = f"{name}{random.randrange(10)}"
        if numbered not in taken:
            return numbered


def check_name(name: str) -> str:
    """Raises :class:`InvalidSpec` unless docker would take the name."""
    if not _SHAPE.fullmatch(name):
        raise InvalidSpec(
            f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
            hint="A name has two or more letters, digits, '_', '.' or '-', and starts with a letter or digit.",
        )
    return name
