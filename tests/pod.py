"""Run a command as a Binder pod would: an ordinary user, no new privileges, a filter that refuses what pods refuse.

``python tests/pod.py [--user UID] COMMAND…``. The filter is the one that containers of minirt get without any
capability; in substance docker's default profile: unshare, clone with namespace flags, setns, mount, umount2,
pivot_root, keyctl, bpf, open_tree, fsopen, move_mount and others fail with EPERM. Nothing needs root here, but root can
become the user first.
"""

from __future__ import annotations

import argparse
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
POD_USER = 1000
_PR_SET_NO_NEW_PRIVS = 38


def enter(user: int = POD_USER) -> None:
    """Become a pod's process, for good; run it where there is one thread."""
    sys.path.insert(0, ROOT)
    from minirt.linux import seccomp
    from minirt.linux.syscalls import prctl

    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    seccomp.load(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--user", type=int, default=POD_USER)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    words = parser.parse_args()
    enter(words.user)
    os.execvp(words.command[0], words.command)


if __name__ == "__main__":
    main()
