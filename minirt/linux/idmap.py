"""Id maps of user namespaces (user_namespaces(7)) and the subordinate ids an administrator granted (subuid(5))."""

from __future__ import annotations

import os
import subprocess

from minirt.model.spec import IdMapping

__all__ = ["find_helper", "own_id_map", "private_maps", "subordinate_maps", "write_maps"]

_FIRST_PRIVATE, _PRIVATE_COUNT = 524288, 65536
_HELPER_DIRECTORIES = ("/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/run/wrappers/bin")


def find_helper(name: str) -> str | None:
    """Where ``newuidmap`` or ``newgidmap`` is; the search path of the user plays no part."""
    for directory in _HELPER_DIRECTORIES:
        path = f"{directory}/{name}"
        if os.access(path, os.X_OK):
            return path
    return None


def own_id_map() -> tuple[tuple[IdMapping, ...], tuple[IdMapping, ...]]:
    """The maps every user may write: id 0 inside is the user and group outside, and there is no other id."""
    return (IdMapping(0, os.geteuid(), 1),), (IdMapping(0, os.getegid(), 1),)


def _granted(path: str, names: set[str]) -> tuple[int, int] | None:
    """The largest range of ``path`` (lines ``name:first:count``) for one of ``names``."""
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            rows = [line.strip().split(":") for line in lines]
    except OSError:
        return None
    ranges = [(int(row[1]), int(row[2])) for row in rows if len(row) == 3 and row[0] in names and row[1].isdigit()]
    return max(ranges, key=lambda entry: entry[1], default=None)


def subordinate_maps() -> tuple[tuple[IdMapping, ...], tuple[IdMapping, ...]] | None:
    """Id 0 is the user, 1 and up are his subordinate ids; None if none were granted or the helpers are missing."""
    import pwd

    if find_helper("newuidmap") is None or find_helper("newgidmap") is None:
        return None
    names = {str(os.geteuid())}
    try:
        names.add(pwd.getpwuid(os.geteuid()).pw_name)
    except KeyError:
        pass
    users, groups = _granted("/etc/subuid", names), _granted("/etc/subgid", names)
    if users is None or groups is None:
        return None
    own_users, own_groups = own_id_map()
    return (*own_users, IdMapping(1, *users)), (*own_groups, IdMapping(1, *groups))


def private_maps() -> tuple[tuple[IdMapping, ...], tuple[IdMapping, ...]]:
    """What root gives a container of its own (``--userns private``): ids that belong to nobody on this machine.

    The range that /etc/subuid grants to ``minirt``, ``containers`` or ``dockremap``, else one above all of them.
    """
    found = []
    for path in ("/etc/subuid", "/etc/subgid"):
        granted = _granted(path, {"minirt", "containers", "dockremap"})
        found.append(granted or (max(_FIRST_PRIVATE, _last_granted()), _PRIVATE_COUNT))
    users, groups = found
    return (IdMapping(0, *users),), (IdMapping(0, *groups),)


def _last_granted() -> int:
    """The first id above every range of /etc/subuid and /etc/subgid."""
    last = 0
    for path in ("/etc/subuid", "/etc/subgid"):
        try:
            with open(path, encoding="utf-8", errors="replace") as lines:
                rows = [line.strip().split(":") for line in lines]
        except OSError:
            continue
        last = max([last, *(int(row[1]) + int(row[2]) for row in rows if len(row) == 3 and row[1].isdigit())])
    return last


def write_maps(pid: int, uid_map: tuple[IdMapping, ...], gid_map: tuple[IdMapping, ...]) -> None:
    """Give the fresh user namespace of ``pid`` its maps.

    One's own id can be written by anyone, at the price of setgroups(2); more need the set-user-id helpers, or root.
    """
    own = own_id_map()
    if (uid_map, gid_map) == own or os.geteuid() == 0:
        _write_directly(pid, uid_map, gid_map, deny_setgroups=(uid_map, gid_map) == own)
        return
    for name, mapping in (("newuidmap", uid_map), ("newgidmap", gid_map)):
        helper = find_helper(name)
        if helper is None:
            raise FileNotFoundError(2, "not installed", name)
        numbers = [str(value) for entry in mapping for value in (entry.inside, entry.outside, entry.count)]
        done = subprocess.run([helper, str(pid), *numbers], capture_output=True, text=True, env={}, check=False)
        if done.returncode != 0:
            raise PermissionError(1, done.stderr.strip() or "failed", name)


def _write_directly(
    pid: int, uid_map: tuple[IdMapping, ...], gid_map: tuple[IdMapping, ...], *, deny_setgroups: bool
) -> None:
    files = [("setgroups", "deny")] if deny_setgroups else []
    for name, mapping in (("uid_map", uid_map), ("gid_map", gid_map)):
        files.append((name, "".join(f"{entry.inside} {entry.outside} {entry.count}\n" for entry in mapping)))
    for name, text in files:
        # One write each: the kernel takes a map only whole.
        fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
