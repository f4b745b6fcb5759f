"""The experiments behind :func:`minirt.networks.ability.ability`.

An ordinary user's run in a program of their own, which has one thread: ``python -c "…trials import main; main()"``
answers with one JSON object on standard output.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from minirt.errors import MinirtError
from minirt.linux import caps, links, nft
from minirt.linux.idmap import own_id_map
from minirt.linux.namespaces import CLONE_NEWNET, enter_user_namespace, make_user_namespace
from minirt.linux.syscalls import unshare
from minirt.networks.usermode import find_programs, fork_program, in_order, wait_for_interface, why_not

__all__ = ["Ability", "main", "try_as_root", "try_as_user"]

_FORWARDING = "/proc/sys/net/ipv4/ip_forward"
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from minirt.networks.trials import main; main()"


@dataclass(frozen=True, slots=True)
class Ability:
    """``own``: whether a container can have a network of its own; ``why`` it cannot.

    ``user``: networks are an ordinary user's, in the home's own namespace, and ``program`` leads out of that.
    ``confined`` says why containers on a bridge reach nothing outside the machine; empty if they do.
    """

    own: bool
    why: str = ""
    user: bool = False
    program: str = ""
    confined: str = ""

    @property
    def by_default(self) -> bool:
        """Whether a container gets a network of its own unasked. An ordinary user's must lead somewhere."""
        return self.own and not (self.user and self.confined)


def try_as_root() -> Ability:
    """In the network namespace where the bridges will be."""
    name = f"mrt-try{os.getpid() % 10**7}"
    try:
        links.add_bridge(name, "02:42:00:00:00:01")
    except OSError as error:
        return Ability(False, f"this machine gives no bridge: {error.strerror}")
    confined = ""
    try:
        nft.has_table(name)
        if Path(_FORWARDING).read_text().strip() != "1":
            Path(_FORWARDING).write_text("1")
    except OSError as error:
        reason = f"{error.filename} may not be set" if error.filename else f"no nf_tables: {error.strerror}"
        confined = f"no address translation on this machine ({reason})"
    with contextlib.suppress(OSError):
        links.delete_link(name)
    return Ability(True, confined=confined)


def try_as_user() -> Ability:
    """What an ordinary user can have; never raises."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _PROGRAM, root]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env={}, check=False)
        return Ability(**json.loads(done.stdout))
    except (OSError, ValueError, TypeError) as error:
        return Ability(False, f"the trial of a network failed: {error}", user=True)


def main() -> None:
    """The program: the first of the programs that gives a fresh network namespace a way out, or none."""
    try:
        enter_user_namespace(make_user_namespace(*own_id_map()))
    except OSError as error:
        found = Ability(False, f"a network of one's own needs a user namespace ({error.strerror})", user=True)
    else:
        found = _best()
    json.dump(asdict(found), sys.stdout)


def _best() -> Ability:
    refused = why_not()
    for program in in_order(find_programs()):
        found = _in_child(partial(_try_program, program))
        if found.own:
            return found
        refused = found.why
    return _in_child(partial(_try_program, "", refused))


def _try_program(program: str, refused: str = "") -> Ability:
    child, begin = fork_program(program, f"/proc/{os.getpid()}/ns/net") if program else (0, None)
    unshare(CLONE_NEWNET)
    links.loopback_up()
    found = try_as_root()
    if found.own and begin is not None:
        caps.set_capabilities(0)
        begin()
        wait_for_interface(program, child)
    return Ability(found.own, found.why, user=True, program=program, confined=refused or found.confined)


def _in_child(work: Callable[[], Ability]) -> Ability:
    """In a process of its own, whose end is the end of all it made."""
    answer, tell = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            try:
                found = work()
            except (OSError, MinirtError) as error:
                found = Ability(False, str(error), user=True)
            os.write(tell, json.dumps(asdict(found)).encode())
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(answer, "rb") as words:
        text = words.read()
    os.waitpid(pid, 0)
    return Ability(**json.loads(text)) if text else Ability(False, "the trial of a network was killed", user=True)
