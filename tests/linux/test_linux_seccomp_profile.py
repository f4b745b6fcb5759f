"""Profiles of docker's: what is compiled does what the profile says, call by call."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minirt.errors import InvalidSpec
from minirt.linux.seccomp_profile import compile_profile
from minirt.linux.syscall_numbers import numbers
from minirt.model.seccomp import ACTIONS, OPERATORS, Profile, parse_profile

_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_ANSWERS = {
    "SCMP_ACT_KILL": 0, "SCMP_ACT_KILL_THREAD": 0, "SCMP_ACT_KILL_PROCESS": 0x80000000, "SCMP_ACT_TRAP": 0x30000,
    "SCMP_ACT_ERRNO": 0x50000, "SCMP_ACT_TRACE": 0x7FF00000, "SCMP_ACT_ALLOW": 0x7FFF0000, "SCMP_ACT_LOG": 0x7FFC0000,
}  # fmt: skip
_ENOSYS = 0x50000 | 38


def run(program: bytes, number: int, arguments: tuple[int, ...], architecture: int) -> int:
    """What the kernel's interpreter of classic BPF would answer (kernel/seccomp.c, as far as filters use it)."""
    data = struct.pack("=iIQ6Q", number - (1 << 32 if number >> 31 else 0), architecture, 0, *arguments)
    steps = list(struct.iter_unpack("=HBBI", program))
    at = held = 0
    while True:
        code, then, otherwise, value = steps[at]
        at += 1
        if code == 0x06:
            return int(value)
        if code == 0x20:
            held = struct.unpack_from("=I", data, value)[0]
        elif code == 0x54:
            held &= value
        elif code == 0x05:
            at += value
        else:
            test = {0x15: held == value, 0x25: held > value, 0x35: held >= value}[code]
            at += then if test else otherwise


def meant(profile: Profile, machine: str, number: int, arguments: tuple[int, ...]) -> int:
    """The same by reading the profile, without any program."""

    def answer(action: str, error: int) -> int:
        return _ANSWERS[action] | (error if action in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE") else 0)

    known, default = numbers(machine), answer(profile.default, profile.default_errno)
    named = [known[name] for rule in profile.rules for name in rule.names if name in known]
    loose = profile.default in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")
    if number >= (1 << 30 if loose else max(named, default=0) + 1):
        return _ENOSYS
    rules = [rule for rule in profile.rules if number in (known.get(name) for name in rule.names)]
    rules = [rule for rule in rules if answer(rule.action, rule.errno) != default]
    for rule in sorted(rules, key=lambda rule: bool(rule.comparisons)):
        if any(all(one.holds(arguments[one.index]) for one in each) for each in rule.alternatives()):
            return answer(rule.action, rule.errno)
    return default


_NAMES = ["read", "write", "mkdirat", "clone", "personality", "openat", "statx", "clone3", "setxattrat", "no_such_call"]
_VALUES = st.one_of(
    st.integers(0, 3), st.sampled_from([0xFFFFFFFF, 1 << 32, (1 << 32) + 1, (1 << 64) - 1]), st.integers(0, 2**64 - 1)
)
_COMPARISON = st.fixed_dictionaries(
    {"index": st.integers(0, 5), "op": st.sampled_from(OPERATORS), "value": _VALUES, "valueTwo": _VALUES}
)
_RULE = st.fixed_dictionaries(
    {
        "names": st.lists(st.sampled_from(_NAMES) | st.sampled_from(sorted(numbers("x86_64"))), min_size=1, max_size=9),
        "action": st.sampled_from(ACTIONS),
        "errnoRet": st.integers(0, 200),
        "args": st.lists(_COMPARISON, max_size=4),
    }
)
_PROFILE = st.fixed_dictionaries({"defaultAction": st.sampled_from(ACTIONS), "syscalls": st.lists(_RULE, max_size=12)})


def _near(profile: Profile, machine: str) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Calls that the profile speaks of, with arguments at the edges of what it compares them with."""
    for rule in profile.rules:
        for name in rule.names[:2]:
            number = numbers(machine).get(name, 1)
            for shift in (-1, 0, 1, 1 << 32, -1 << 32):
                arguments = [0] * 6
                for one in rule.comparisons:
                    value = one.value_two if one.operator.endswith("MASKED_EQ") else one.value
                    arguments[one.index] = (value + shift) % (1 << 64)
                yield number, tuple(arguments)
                yield number + 1, tuple(arguments)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["x86_64", "aarch64"]), _PROFILE,
    st.lists(st.tuples(st.integers(0, 600) | st.integers(0, 2**32 - 1), st.tuples(*[_VALUES] * 6)), max_size=20),
)  # fmt: skip
def test_the_program_says_what_the_profile_says(
    machine: str, data: dict[str, object], calls: list[tuple[int, tuple[int, ...]]]
) -> None:
    """For any profile, any call and any arguments; programs of another architecture are never served."""
    profile = parse_profile(json.dumps(data))
    program = compile_profile(profile, (), machine, "6.1.0")
    for number, arguments in [*calls, *_near(profile, machine)]:
        got = run(program, number, arguments, _AUDIT[machine])
        assert got == meant(profile, machine, number, arguments), (number, arguments)
        assert run(program, number, arguments, 0x40000003) == _ENOSYS


def test_jumps_reach_further_than_their_eight_bits() -> None:
    """A rule with arguments for each of 300 calls makes more than a thousand instructions, and each is found."""
    names = sorted(numbers("x86_64"))[:300]
    rules = [
        {"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": place,
         "args": [{"index": 1, "op": "SCMP_CMP_EQ", "value": place}]}
        for place, name in enumerate(names)
    ]  # fmt: skip
    profile = parse_profile(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}))
    program = compile_profile(profile, (), "x86_64", "6.1.0")
    assert 1000 < len(program) // 8 < 4096
    for place, name in enumerate(names):
        number = numbers("x86_64")[name]
        assert run(program, number, (0, place, 0, 0, 0, 0), _AUDIT["x86_64"]) == 0x50000 | place
        assert run(program, number, (0, place + 1, 0, 0, 0, 0), _AUDIT["x86_64"]) == 0x7FFF0000


def test_a_rule_is_for_some_containers_and_machines() -> None:
    """Capabilities, architecture and kernel, as moby decides: all of ``includes``, none of ``excludes``."""

    def rule(name: str, **conditions: object) -> dict[str, object]:
        return {"names": [name], "action": "SCMP_ACT_ALLOW", **conditions}

    rules = [
        rule("mount", includes={"caps": ["CAP_SYS_ADMIN"]}), rule("clone", excludes={"caps": ["CAP_SYS_ADMIN"]}),
        rule("ptrace", includes={"minKernel": "4.8"}), rule("bpf", includes={"minKernel": "6.2"}),
        rule("sync", includes={"arches": ["arm64"]}), rule("kcmp", excludes={"arches": ["arm64"]}), rule("setns"),
    ]  # fmt: skip
    profile = parse_profile(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}))

    def open_to(capabilities: tuple[str, ...], machine: str) -> set[str]:
        program, known = compile_profile(profile, capabilities, machine, "6.1.0-9-amd64"), numbers(machine)
        names = ("mount", "clone", "ptrace", "bpf", "sync", "kcmp", "setns")
        return {name for name in names if run(program, known[name], (0,) * 6, _AUDIT[machine]) == 0x7FFF0000}

    assert open_to((), "x86_64") == {"clone", "ptrace", "kcmp", "setns"}
    assert open_to(("CAP_SYS_ADMIN",), "aarch64") == {"mount", "ptrace", "sync", "setns"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"defaultAction": }', "p.json:1:19: this is not JSON"),
        ("[]", "must be an object"),
        ("{}", "at defaultAction: an action is missing"),
        ('{"defaultAction": "SCMP_ACT_ALOW"}', "no action is called 'SCMP_ACT_ALOW'"),
        ('{"defaultAction": "SCMP_ACT_NOTIFY"}', "another program"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": "mkdir"}]}',
         "at syscalls[0].names: it must be a list"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["x"], "action": "SCMP_ACT_ERRNO", "arg": []}]}',
         "at syscalls[0]: no field is called 'arg'"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["x"], "action": "SCMP_ACT_ERRNO", "args": '
         '[{"index": 6, "op": "SCMP_CMP_EQ"}]}]}', "at syscalls[0].args[0].index: 6 is not"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["x"], "action": "SCMP_ACT_ERRNO", "args": '
         '[{"index": 0, "op": "=="}]}]}', "at syscalls[0].args[0].op: no comparison"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["a"], "archMap": [{}]}', "both"),
    ],
)  # fmt: skip
def test_a_wrong_profile_is_told_with_its_place(text: str, words: str) -> None:
    """The file, the place in it, and what would be right."""
    with pytest.raises(InvalidSpec) as caught:
        parse_profile(text, "p.json")
    assert words in str(caught.value) and "p.json" in str(caught.value)
