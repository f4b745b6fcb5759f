"""``--init``: a small process of ours as PID 1, which hands on signals and reaps orphans (docker uses tini).

It is the forked Python that built the container. Its memory is shared with the monitor's, and it holds nothing of the
machine: no descriptors, no rights beyond the program's, and no way for the container to look into it.
"""

from __future__ import annotations

import os
import signal
from typing import NoReturn

from minirt.linux import syscalls
from minirt.linux.processes import die_with_parent, name_process
from minirt.linux.syscalls import prctl

__all__ = ["split"]

_PR_SET_DUMPABLE = 4
_OWN = {signal.SIGCHLD, signal.SIGKILL, signal.SIGSTOP, signal.SIGTTIN, signal.SIGTTOU}


def split(terminal: bool) -> None:
    """Fork: the child returns, to become the program; this process stays as PID 1 until the child has ended."""
    signals = set(signal.valid_signals()) - _OWN
    signal.pthread_sigmask(signal.SIG_BLOCK, signals | {signal.SIGCHLD})
    # /proc/1/exe is the machine's Python: nobody in the container may open it (CVE-2019-5736). Before the fork, so that
    # there is no moment in which the program could; its own exec ends it.
    prctl(_PR_SET_DUMPABLE, 0)
    name_process("minirt-init")  # before there is a program that could look; its own exec gives that its name
    child = os.fork()
    if child == 0:
        die_with_parent()
        os.setpgid(0, 0)
        if terminal:
            # The program gets Ctrl-C, not we. Out of the background a process may do this only deaf to SIGTTOU.
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(0, os.getpid())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        return
    syscalls.close_range(0)
    _watch(child, signals | {signal.SIGCHLD})


def _watch(child: int, signals: set[signal.Signals]) -> NoReturn:
    while True:
        number = signal.sigwait(signals)
        if number != signal.SIGCHLD:
            try:
                os.kill(child, number)
            except ProcessLookupError:
                pass
            continue
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                os._exit(0)
            if pid == 0:
                break
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                # PID 1 cannot be killed by a signal it sends itself, so it says it as a shell does.
                os._exit(code if code >= 0 else 128 - code)
