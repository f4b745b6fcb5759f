"""Who ``USER name[:group]`` is, by the image's own /etc/passwd and /etc/group (not the machine's).

The rules are docker's (moby/sys ``user.GetExecUser``): a name or a number for each; a number need not be listed;
without a group, the user's own group and every group that lists the user.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from minirt.errors import InvalidSpec
from minirt.model.spec import User
from minirt.snapshots.union import Union

__all__ = ["Account", "lookup_groups", "lookup_user"]

_MOST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Account:
    """The ids, and the home directory that HOME gets ("/" for somebody unlisted)."""

    user: User
    home: str


@dataclass(frozen=True, slots=True)
class _Person:
    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    gid: int
    members: tuple[str, ...]


def lookup_user(text: str, root: Union) -> Account:
    """Read ``text`` ("", "app", "1000", "app:staff", "1000:1000"). Raises :class:`InvalidSpec`."""
    name, _, group_name = text.partition(":")
    people = _people(root.read("/etc/passwd"))
    groups = _groups(root.read("/etc/group"))
    person = _find_person(name or "0", people)
    if group_name:
        gid = _find_group(group_name, groups)
        return Account(User(person.uid, gid, (gid,)), person.home)
    extra = (group.gid for group in groups if person.name and person.name in group.members)
    return Account(User(person.uid, person.gid, tuple(dict.fromkeys((person.gid, *extra)))), person.home)


def lookup_groups(texts: Iterable[str], root: Union) -> tuple[int, ...]:
    """The numbers of ``--group-add``: names of the image's /etc/group, or numbers. Raises :class:`InvalidSpec`."""
    groups = _groups(root.read("/etc/group"))
    return tuple(_find_group(text, groups) for text in texts)


def _find_person(name: str, people: tuple[_Person, ...]) -> _Person:
    for person in people:
        if person.name == name:
            return person
    if not name.isdigit():
        raise InvalidSpec(
            f"unable to find user {name}: no matching entries in passwd file",
            cause="the image's /etc/passwd has no such name",
            hint=f"Create it in the image first (RUN adduser … or useradd …), or use one of: {_some(people)}.",
        )
    uid = _number(name)
    for person in people:
        if person.uid == uid:
            return person
    return _Person("", uid, 0, "/")


def _find_group(name: str, groups: tuple[_Group, ...]) -> int:
    for group in groups:
        if group.name == name:
            return group.gid
    if not name.isdigit():
        raise InvalidSpec(
            f"unable to find group {name}: no matching entries in group file",
            cause="the image's /etc/group has no such name",
            hint="Create it in the image first, or use a number.",
        )
    return _number(name)


def _number(text: str) -> int:
    value = int(text)
    if value > _MOST:
        raise InvalidSpec(f"uids and gids must be in range 0-{_MOST}, not {text}")
    return value


def _some(people: tuple[_Person, ...]) -> str:
    return ", ".join(person.name for person in people[:8]) or "none"


def _people(raw: bytes | None) -> tuple[_Person, ...]:
    found = []
    for fields in _lines(raw):
        if len(fields) >= 4 and fields[2].isdigit() and fields[3].isdigit():
            home = fields[5] if len(fields) > 5 and fields[5] else "/"
            found.append(_Person(fields[0], int(fields[2]), int(fields[3]), home))
    return tuple(found)


def _groups(raw: bytes | None) -> tuple[_Group, ...]:
    found = []
    for fields in _lines(raw):
        if len(fields) >= 3 and fields[2].isdigit():
            members = tuple(member for member in fields[3].split(",") if member) if len(fields) > 3 else ()
            found.append(_Group(fields[0], int(fields[2]), members))
    return tuple(found)


def _lines(raw: bytes | None) -> list[list[str]]:
    text = (raw or b"").decode(errors="surrogateescape")
    return [line.split(":") for line in text.splitlines() if line and not line.startswith("#")]
