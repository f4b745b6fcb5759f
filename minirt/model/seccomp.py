"""Docker's seccomp profiles: which system calls a container may make, as JSON (moby, ``profiles/seccomp``).

:func:`parse_profile` reads one; :meth:`Profile.rules_for` leaves what counts for a container; what is meant by a rule
is :meth:`Rule.holds`. :mod:`minirt.linux.seccomp` makes a filter of it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from minirt.errors import InvalidSpec

__all__ = ["ACTIONS", "OPERATORS", "Comparison", "Conditions", "Profile", "Rule", "parse_profile"]

ACTIONS = (
    "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO",
    "SCMP_ACT_TRACE", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG",
)  # fmt: skip
OPERATORS = tuple(f"SCMP_CMP_{name}" for name in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"))
_EPERM = 1
# Podman's profiles have the names of error numbers beside the numbers themselves, as "errno" and "defaultErrno".
_KNOWN = (
    "defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap", "flags", "listenerPath",
    "listenerMetadata", "syscalls",
)  # fmt: skip
_KNOWN_OF_RULE = ("name", "names", "action", "errnoRet", "errno", "args", "comment", "includes", "excludes")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One argument of a call, all its 64 bits, against ``value``; for MASKED_EQ that is the mask."""

    index: int
    operator: str
    value: int
    value_two: int = 0

    def holds(self, argument: int) -> bool:
        match self.operator.removeprefix("SCMP_CMP_"):
            case "NE":
                return argument != self.value
            case "LT":
                return argument < self.value
            case "LE":
                return argument <= self.value
            case "EQ":
                return argument == self.value
            case "GE":
                return argument >= self.value
            case "GT":
                return argument > self.value
        return argument & self.value == self.value_two


@dataclass(frozen=True, slots=True)
class Conditions:
    """Capabilities, architectures (Go's names) and the kernel that a rule is for, or not for."""

    capabilities: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    kernel: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to the calls of these names if all comparisons hold."""

    names: tuple[str, ...]
    action: str
    errno: int = _EPERM
    comparisons: tuple[Comparison, ...] = ()
    includes: Conditions = Conditions()
    excludes: Conditions = Conditions()

    def counts(self, capabilities: Collection[str], architecture: str, kernel: tuple[int, int]) -> bool:
        """Moby's rule: all capabilities named in ``includes``, none of those in ``excludes``."""
        yes, no = self.includes, self.excludes
        return (
            all(name in capabilities for name in yes.capabilities)
            and not any(name in capabilities for name in no.capabilities)
            and (not yes.architectures or architecture in yes.architectures)
            and architecture not in no.architectures
            and (yes.kernel is None or kernel >= yes.kernel)
            and (no.kernel is None or kernel < no.kernel)
        )

    def alternatives(self) -> tuple[tuple[Comparison, ...], ...]:
        """As with runc: several comparisons of one argument are each enough; else all must hold."""
        indices = [one.index for one in self.comparisons]
        if len(set(indices)) < len(indices):
            return tuple((one,) for one in self.comparisons)
        return (self.comparisons,)


@dataclass(frozen=True, slots=True)
class Profile:
    """``default`` is what happens to calls without a rule."""

    default: str
    default_errno: int = _EPERM
    rules: tuple[Rule, ...] = ()

    def rules_for(self, capabilities: Collection[str], architecture: str, kernel: tuple[int, int]) -> tuple[Rule, ...]:
        """The rules that count for a container with these capabilities on such a machine."""
        return tuple(rule for rule in self.rules if rule.counts(capabilities, architecture, kernel))


def parse_profile(text: str, source: str = "") -> Profile:
    """Raises :class:`InvalidSpec`, which names the place; ``source`` is the file's name."""
    try:
        data = json.loads(text)
    except ValueError as error:
        at = f":{error.lineno}:{error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidSpec(
            f"seccomp profile {source}{at}: this is not JSON",
            cause=str(getattr(error, "msg", error)),
            hint="docker's own profile shows the format: moby, profiles/seccomp/default.json.",
        ) from None
    return _Reader(source).profile(data)


class _Reader:
    """Each method reads one kind of value; ``place`` is where it stands, such as ``syscalls[3].args[0]``."""

    def __init__(self, source: str) -> None:
        self.source = source

    def wrong(self, place: str, what: str, hint: str = "") -> InvalidSpec:
        where = f"seccomp profile {self.source}".rstrip() + (f", at {place}" if place else "")
        return InvalidSpec(f"{where}: {what}", hint=hint)

    def profile(self, data: Any) -> Profile:
        data = self.object(data, "", _KNOWN)
        for name in ("listenerPath", "listenerMetadata"):
            if data.get(name):
                raise self.wrong(name, "calls cannot be given to another program here", "Leave it out.")
        if data.get("architectures") and data.get("archMap"):
            raise self.wrong("archMap", "both 'architectures' and 'archMap' were given", "Use one of them.")
        if data.get("flags"):
            raise self.wrong("flags", "flags of the filter are not supported", "Leave them out.")
        return Profile(
            self.action(data.get("defaultAction"), "defaultAction"),
            self.errno(data.get("defaultErrnoRet"), "defaultErrnoRet"),
            tuple(
                self.rule(entry, f"syscalls[{number}]")
                for number, entry in enumerate(self.list(data.get("syscalls"), "syscalls"))
            ),
        )

    def rule(self, data: Any, place: str) -> Rule:
        data = self.object(data, place, _KNOWN_OF_RULE)
        if data.get("name") and data.get("names"):
            raise self.wrong(place, "both 'name' and 'names' were given", "Use 'names'.")
        names = self.words(data.get("names"), f"{place}.names") or self.words([data.get("name")], f"{place}.name")
        args = self.list(data.get("args"), f"{place}.args")
        return Rule(
            names,
            self.action(data.get("action"), f"{place}.action"),
            self.errno(data.get("errnoRet"), f"{place}.errnoRet"),
            tuple(self.comparison(one, f"{place}.args[{number}]") for number, one in enumerate(args)),
            self.conditions(data.get("includes"), f"{place}.includes"),
            self.conditions(data.get("excludes"), f"{place}.excludes"),
        )

    def comparison(self, data: Any, place: str) -> Comparison:
        data = self.object(data, place, ("index", "op", "value", "valueTwo"))
        operator = data.get("op")
        if operator not in OPERATORS:
            raise self.wrong(f"{place}.op", f"no comparison is called {operator!r}", f"One of: {', '.join(OPERATORS)}.")
        return Comparison(
            self.number(data.get("index", 0), f"{place}.index", 5),
            operator,
            self.number(data.get("value", 0), f"{place}.value", (1 << 64) - 1),
            self.number(data.get("valueTwo", 0), f"{place}.valueTwo", (1 << 64) - 1),
        )

    def conditions(self, data: Any, place: str) -> Conditions:
        data = self.object({} if data is None else data, place, ("caps", "arches", "minKernel"))
        kernel = data.get("minKernel") or None
        parts = str(kernel).split(".") if kernel else []
        if kernel and not (len(parts) == 2 and all(part.isdigit() for part in parts)):
            raise self.wrong(f"{place}.minKernel", f"{kernel!r} is no kernel version", "Write for example 4.8.")
        return Conditions(
            self.words(data.get("caps"), f"{place}.caps"),
            self.words(data.get("arches"), f"{place}.arches"),
            (int(parts[0]), int(parts[1])) if kernel else None,
        )

    def action(self, value: Any, place: str) -> str:
        if value == "SCMP_ACT_NOTIFY":
            raise self.wrong(place, "calls cannot be given to another program here", f"One of: {', '.join(ACTIONS)}.")
        if value not in ACTIONS:
            what = "an action is missing" if value is None else f"no action is called {value!r}"
            raise self.wrong(place, what, f"One of: {', '.join(ACTIONS)}.")
        return str(value)

    def errno(self, value: Any, place: str) -> int:
        return _EPERM if value is None else self.number(value, place, 0xFFFF)

    def number(self, value: Any, place: str, most: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise self.wrong(place, f"{value!r} is not a whole number from 0 to {most}")
        return value

    def words(self, value: Any, place: str) -> tuple[str, ...]:
        words = self.list(value, place)
        if not all(isinstance(word, str) for word in words):
            raise self.wrong(place, "it must be a list of texts")
        return tuple(words)

    def list(self, value: Any, place: str) -> list[Any]:
        if value is not None and not isinstance(value, list):
            raise self.wrong(place, "it must be a list")
        return value or []

    def object(self, value: Any, place: str, known: tuple[str, ...]) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self.wrong(place, "it must be an object, in braces")
        unknown = sorted(set(value) - set(known))
        if unknown:
            raise self.wrong(place, f"no field is called {unknown[0]!r}", f"Known: {', '.join(known)}.")
        return value
