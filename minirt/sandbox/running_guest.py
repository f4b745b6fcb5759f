"""A traced container that runs, found again by what its tracer was told when it began."""

from __future__ import annotations

from minirt.errors import ContainerNotRunning
from minirt.linux.processes import is_alive
from minirt.linux.tracing import command_of, tracer_of
from minirt.sandbox.guest import Guest
from minirt.sandbox.reach import read_only_places

__all__ = ["bindings_of", "enter_traced", "guest_of"]

_KERNELS = ("/proc", "/sys")


def guest_of(pid: int, started: int) -> tuple[str, Guest]:
    """The tracer's program, and what the container of the process ``pid`` sees. Raises :class:`ContainerNotRunning`."""
    words = command_of(tracer_of(pid))
    if not is_alive(pid, started) or "-r" not in words[1:2]:
        raise ContainerNotRunning("the container is not running")
    return words[0], Guest.read(words[1:])


def enter_traced(pid: int, started: int) -> str:
    """The root directory of that container."""
    return guest_of(pid, started)[1].root


def bindings_of(pid: int, started: int) -> tuple[bool, list[tuple[str, str, bool]]]:
    """Whether that container's root may only be read, and what it sees in places of it: source, target, the same.

    The kernel's own file systems are left out.
    """
    _, guest = guest_of(pid, started)
    guarded = read_only_places(guest.scratch)
    bindings = [(source, target, source in guarded) for source, target in guest.bindings if target not in _KERNELS]
    return guest.root in guarded, bindings
