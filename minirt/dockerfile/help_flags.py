"""Texts: the flags of instructions, and the options of ``RUN --mount``; ``name: (value, summary)``."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["FLAG_HELP", "MOUNT_HELP"]

_Texts = Mapping[str, tuple[str, str]]

_TRANSFER: _Texts = {
    "chown": (
        "user[:group]",
        "Owner of what is written, by name or number; names are looked up in the image. Default: root.",
    ),
    "chmod": ("mode", "Permissions of what is written: octal (755) or symbolic (u=rwX,go=rX). Default: the source's."),
    "link": ("", "Put the files in a layer of their own that does not depend on the layers below it."),
    "exclude": ("pattern", "Leave out what matches, with the rules of .dockerignore. May be repeated."),
}

FLAG_HELP: Mapping[str, _Texts] = {
    "FROM": {
        "platform": ("os/arch[/variant]", "Which platform of the base to take, such as linux/arm64 or $BUILDPLATFORM."),
    },
    "RUN": {
        "mount": (
            "type=bind|cache|tmpfs|secret|ssh,…",
            "Mount something for this command only; it is no part of the layer. May be repeated.",
        ),
        "network": ("default|none|host", "Which network the command sees. none: only the loopback interface."),
        "security": ("sandbox", "How strictly the command is isolated; insecure is refused here."),
    },
    "COPY": {
        "from": (
            "stage|image|context",
            "Take the files from a stage, an image or a named context, not from the context.",
        ),
        "parents": ("", "Keep the directories of the source below the destination; /./ marks where they begin."),
        **_TRANSFER,
    },
    "ADD": {
        "checksum": ("sha256:…", "Refuse a download whose bytes do not have this digest."),
        "unpack": ("true|false", "Unpack archives, or not; without the flag local ones are and downloads are not."),
        "keep-git-dir": ("", "Keep .git when the source is a git repository."),
        **_TRANSFER,
    },
    "HEALTHCHECK": {
        "interval": ("duration", "Time between two checks. Default: 30s."),
        "timeout": ("duration", "A check that takes longer has failed. Default: 30s."),
        "start-period": ("duration", "Failures in this time after the start do not count. Default: 0s."),
        "start-interval": ("duration", "Time between checks during the start period. Default: 5s."),
        "retries": ("number", "So many failures in a row make the container unhealthy. Default: 3."),
    },
}

_TARGET = {"target": ("path", "Where it appears in the container (also dst, destination).")}
_OWNER: _Texts = {
    "mode": ("octal", "Permissions of it."),
    "uid": ("number", "Its owner. Default: 0."),
    "gid": ("number", "Its group. Default: 0."),
}

MOUNT_HELP: Mapping[str, _Texts] = {
    "bind": {
        **_TARGET,
        "source": ("path", "What to mount, relative to the root of from (also src). Default: all of it."),
        "from": ("stage|image|context", "Where it comes from. Default: the build context."),
        "rw": ("", "Let the command write; what it writes is dropped afterwards."),
    },
    "cache": {
        **_TARGET,
        "id": ("name", "Which cache; the same name is the same cache in every build. Default: the target."),
        "sharing": (
            "shared|private|locked",
            "When two builds want it at once: both, one each, or one after the other.",
        ),
        "from": ("stage|image|context", "What a new cache is filled with. Default: nothing."),
        "source": ("path", "Which part of from."),
        "ro": ("", "The command may only read."),
        **_OWNER,
    },
    "tmpfs": {**_TARGET, "size": ("bytes", "The most it may hold, such as 64m. Default: no limit.")},
    "secret": {
        "id": ("name", "Which secret of docker build --secret. Default: the last part of target."),
        "target": ("path", "The file it appears as. Default: /run/secrets/ and the id."),
        "env": ("name", "The environment variable it appears in."),
        "required": ("", "Fail if it was not given; otherwise the command runs without it."),
        **_OWNER,
    },
    "ssh": {
        "id": ("name", "Which agent of docker build --ssh. Default: default."),
        "target": ("path", "The socket it appears as."),
        "required": ("", "Fail if it was not given."),
        **_OWNER,
    },
}
