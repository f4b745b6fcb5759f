"""Tests of the programs that keep a control group of version 2 from devices, with the kernel's own answers."""

from __future__ import annotations

import os
import stat
import struct
import uuid
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minirt.linux import device_filter
from minirt.linux.cgroup_tree import Tree
from minirt.linux.cgroups import Group

_ZERO, _NULL, _NOBODYS = (1, 5), (1, 3), (250, 77)
_MODES = {"r": os.O_RDONLY, "w": os.O_WRONLY, "rw": os.O_RDWR}


@pytest.fixture
def group() -> Iterator[Group]:
    """A group in this machine's tree of version 2, which is there beside version 1, too."""
    places = [place for place in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified") if Path(place, "cgroup.procs").exists()]
    if not places or os.geteuid() != 0 or not device_filter.available():
        pytest.skip("that takes a tree of control groups version 2, as root")
    group = Group(Tree(2, {"": places[0]}), f"minirt-test-{uuid.uuid4().hex}")
    group.create()
    yield group
    assert group.remove(patience=5)


def _opens(group: Group, directory: Path, number: tuple[int, int], wanted: str) -> bool:
    """Whether a process of the group may do that with a character device (``m``: make its node)."""
    node = directory / uuid.uuid4().hex
    if wanted != "m":
        os.mknod(node, 0o600 | stat.S_IFCHR, os.makedev(*number))
    pid = os.fork()
    if pid == 0:
        try:
            group.add(os.getpid())
            if wanted == "m":
                os.mknod(node, 0o600 | stat.S_IFCHR, os.makedev(*number))
            else:
                os.open(node, _MODES[wanted])
            os._exit(0)
        except PermissionError:
            os._exit(1)
        except BaseException:
            os._exit(2)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 1)
    return code == 0


def test_only_what_a_rule_grants_whole_is_opened(group: Group, tmp_path: Path) -> None:
    """With a list, a device opens for what one of its rules allows, and nothing else does; nodes may be made."""
    group.restrict_devices((), ("c *:* m", "c 1:5 r", "c 1:3 rw"))
    found = {(number, way): _opens(group, tmp_path, number, way) for number in (_ZERO, _NULL) for way in _MODES}
    assert {case for case, opened in found.items() if opened} == {(_ZERO, "r"), *((_NULL, way) for way in _MODES)}
    assert _opens(group, tmp_path, _NOBODYS, "m")


def test_a_part_that_is_denied_denies_the_whole(group: Group, tmp_path: Path) -> None:
    """Without a list everything opens but what asks, among other things, for what is denied."""
    group.restrict_devices(("c 1:5 w",))
    assert [_opens(group, tmp_path, _ZERO, way) for way in _MODES] == [True, False, False]
    assert [_opens(group, tmp_path, _NULL, way) for way in _MODES] == [True, True, True]


def test_a_group_is_restricted_as_often_as_one_likes(group: Group, tmp_path: Path) -> None:
    """A container that its policy starts a hundred times has one program, not one more with each start."""
    for _ in range(100):
        group.restrict_devices((), ("c 1:3 rw",))
    assert [_opens(group, tmp_path, number, "r") for number in (_NULL, _ZERO)] == [True, False]


def test_a_rule_with_a_star_is_for_every_minor(group: Group, tmp_path: Path) -> None:
    """``c 1:* r`` lets every device of that major be read; block devices of that number are others."""
    group.restrict_devices((), ("b 1:* rw", "c 1:* r"))
    assert [_opens(group, tmp_path, number, "r") for number in (_ZERO, _NULL, (5, 0))] == [True, True, False]
    assert not _opens(group, tmp_path, _ZERO, "w")


_RULES = st.builds(
    lambda kind, major, minor, letters: f"{kind} {major}:{minor} {''.join(sorted(letters))}",
    st.sampled_from("bc"), st.sampled_from(["*", "1", "5"]), st.sampled_from(["*", "3", "5"]),
    st.sets(st.sampled_from("rwm"), min_size=1),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(_RULES, max_size=4), st.lists(_RULES, max_size=4))
def test_the_program_says_what_the_rules_say(denied: list[str], allowed: list[str]) -> None:
    """For any rules and any question the program, run here step by step, answers as the rules read."""
    program = device_filter.assemble(denied, allowed)
    for kind, major, minor, asked in product("bc", (1, 5, 9), (3, 5, 9), ("r", "w", "m", "rw", "rm")):
        fits = [_fits(rule, kind, major, minor) for rule in (*denied, *allowed)]
        refused = any(fit & set(asked) for fit in fits[: len(denied)])
        granted = not allowed or any(set(asked) <= fit for fit in fits[len(denied) :])
        assert _run(program, kind, major, minor, asked) == (granted and not refused)


def _fits(rule: str, kind: str, major: int, minor: int) -> set[str]:
    """What the rule names of this device."""
    its_kind, number, letters = rule.split()
    parts = number.split(":")
    same = its_kind == kind and all(part in ("*", str(own)) for part, own in zip(parts, (major, minor), strict=True))
    return set(letters) if same else set()


def _run(program: bytes, kind: str, major: int, minor: int, asked: str) -> int:
    """The few instructions that occur, as the kernel's documentation has them (bpf/standardization)."""
    access = sum({"m": 1, "r": 2, "w": 4}[letter] for letter in asked)
    context = struct.pack("=III", access << 16 | {"b": 1, "c": 2}[kind], major, minor)
    registers = [0] * 11
    at = 0
    steps = list(struct.iter_unpack("=BBhi", program))
    while True:
        code, both, offset, value = steps[at]
        target, source = both & 15, both >> 4
        at += 1
        match code:
            case 0x61:
                registers[target] = struct.unpack_from("=I", context, offset)[0]
            case 0xBF:
                registers[target] = registers[source]
            case 0x77:
                registers[target] >>= value
            case 0x57:
                registers[target] &= value & (1 << 64) - 1
            case 0xB7:
                registers[target] = value
            case 0x55:
                at += offset * (registers[target] != value)
            case 0x15:
                at += offset * (registers[target] == value)
            case 0x95:
                return registers[0]
            case _:
                raise AssertionError(f"an instruction nobody expected: {code:#x}")
