"""What goes into ``minirt/base``: the names of programs, the directories, and the texts."""

from __future__ import annotations

__all__ = ["BUSYBOX", "DIRECTORIES", "LINKS", "PLACES", "PROGRAMS", "RECIPE", "RECIPE_DATE", "texts"]

RECIPE = 1
"""Raise it when anything here changes: images of an older recipe are made anew."""

RECIPE_DATE = 1767225600
"""The time of every file, in seconds since 1970 (2026-01-01): the same sources give the same image."""

PLACES = ("/usr/bin", "/bin", "/usr/sbin", "/sbin", "/run/current-system/sw/bin")
"""Where the machine keeps its programs; the last is NixOS's."""

BUSYBOX = ("/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static", "/usr/bin/busybox.static", "/sbin/busybox")

# Most needed first: when the size limit comes near, what stands last is left out.
PROGRAMS = tuple(
    """
    sh ls cat cp mv rm mkdir rmdir ln touch chmod chown chgrp echo printf env id whoami hostname uname date sleep
    seq head tail wc sort uniq cut tr tee grep sed awk find xargs du df stat readlink realpath sha256sum md5sum
    true false test [ basename dirname mktemp dd kill pwd tty printenv ps mount umount tar gzip gunzip zcat which
    sync timeout truncate od base64 cmp diff nproc getent mountpoint mkfifo mknod nice nohup stty arch egrep fgrep
    clear bash yes tac rev nl paste free uptime cksum sha1sum sha512sum split fold unshare expr comm join expand
    ip less top
    """.split()  # noqa: SIM905 (words read better without a hundred quotes)
)

LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
"""The file system hierarchy as distributions lay it out today: everything under /usr."""

DIRECTORIES = {
    **dict.fromkeys(("dev", "etc", "home", "media", "mnt", "opt", "proc", "run", "srv", "sys", "usr", "var"), 0o755),
    **dict.fromkeys(("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/share", "usr/local"), 0o755),
    **dict.fromkeys(("usr/local/bin", "usr/local/sbin", "usr/local/lib", "usr/local/share"), 0o755),
    **dict.fromkeys(("var/cache", "var/lib", "var/log", "var/spool"), 0o755),
    "root": 0o700,
    "tmp": 0o1777,
    "var/tmp": 0o1777,
}

_PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
"""
_GROUP = """\
root:x:0:
daemon:x:1:
bin:x:2:
tty:x:5:
www-data:x:33:
users:x:100:
nogroup:x:65534:
"""
_PROFILE = """\
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
PS1='\\h:\\w\\$ '
"""
_OS_RELEASE = """\
NAME="minirt base"
ID=minirt
PRETTY_NAME="minirt base (from {system})"
VERSION_ID={version}
"""
_README = """\
minirt/base
===========

A root filesystem that minirt made on the machine where you use it, without a network. Its
programs were copied from that machine ({system}); they are real files, and nothing here
points back to the machine. There is no package manager: for one, take an image such as
alpine or debian from a registry.

{origin}
"""


def texts(system: str, origin: str) -> dict[str, str]:
    """Path -> text of the small files. ``system`` is the machine's name for itself, ``origin`` what came from where."""
    return {
        # Empty files at the places where a container gets its own.
        "etc/hosts": "",
        "etc/hostname": "",
        "etc/resolv.conf": "",
        "etc/passwd": _PASSWD,
        "etc/group": _GROUP,
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "etc/profile": _PROFILE,
        "etc/shells": "/bin/sh\n",
        "etc/motd": "This is minirt/base. /usr/share/minirt/README tells where its files come from.\n",
        "etc/os-release": _OS_RELEASE.format(system=system, version=RECIPE),
        "usr/share/minirt/README": _README.format(system=system, origin=origin),
    }
