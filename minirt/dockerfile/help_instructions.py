"""Texts: one entry an instruction, ``keyword: (syntax, summary, example, makes)``."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["INSTRUCTION_HELP"]

INSTRUCTION_HELP: Mapping[str, tuple[str, str, str, str]] = {
    "FROM": (
        "FROM [--platform=PLATFORM] IMAGE [AS NAME]",
        "Begins a stage on a base: an image, an earlier stage, or `scratch` for nothing at all. The last stage is "
        "the image; the others are there to build on or to copy from.",
        "FROM debian:12-slim AS build",
        "stage",
    ),
    "RUN": (
        'RUN [FLAGS] COMMAND\nRUN [FLAGS] ["program", "argument"]\nRUN [FLAGS] <<EOF',
        "Runs a command in a container of the image so far, and keeps what it changed as a new layer. A file made in "
        "one RUN and deleted in a later one still ships: clean up in the same RUN.",
        "RUN apt-get update && apt-get install -y --no-install-recommends curl && rm -rf /var/lib/apt/lists/*",
        "layer",
    ),
    "COPY": (
        'COPY [FLAGS] SOURCE… DESTINATION\nCOPY [FLAGS] ["source", "destination"]\nCOPY [FLAGS] <<NAME DESTINATION',
        "Copies files from the build context, or with `--from` from a stage or image. A directory's contents are "
        "copied, not the directory; a destination that ends with / is a directory. Only the bytes and modes count "
        "for the cache, not the times.",
        "COPY --from=build /src/app /usr/local/bin/app",
        "layer",
    ),
    "ADD": (
        "ADD [FLAGS] SOURCE… DESTINATION",
        "COPY that also downloads http(s) addresses and git repositories, and unpacks local tar archives. "
        "Where COPY is enough, COPY says more clearly what happens.",
        "ADD rootfs.tar.xz /",
        "layer",
    ),
    "ENV": (
        "ENV NAME=VALUE …",
        "Sets environment variables for the following instructions and for every container of the image. They can be "
        "read by anybody who has the image: no secrets here.",
        'ENV LANG=C.UTF-8 GREETING="hello, world"',
        "config",
    ),
    "ARG": (
        "ARG NAME[=DEFAULT] …",
        "Declares a variable of the build, to be set with `--build-arg`. It is gone in the container, but seen in the "
        "image's history. Before the first FROM it serves FROM lines; repeat it inside a stage to use it there.",
        "ARG VERSION=1.0",
        "config",
    ),
    "LABEL": (
        "LABEL NAME=VALUE …",
        "Attaches facts to the image, to be read with `docker inspect`.",
        'LABEL org.opencontainers.image.source="https://example.org/app"',
        "config",
    ),
    "WORKDIR": (
        "WORKDIR PATH",
        "The directory in which the following instructions and the containers run; made if it is missing. A relative "
        "path continues the last one.",
        "WORKDIR /app",
        "layer",
    ),
    "USER": (
        "USER NAME|UID[:GROUP|GID]",
        "Who runs the following RUN, CMD and ENTRYPOINT. COPY still writes as root unless it has `--chown`.",
        "USER nobody",
        "config",
    ),
    "EXPOSE": (
        "EXPOSE PORT[/tcp|/udp] …",
        "Says which ports the containers listen on. It publishes nothing: that is `docker run -p` or `-P`.",
        "EXPOSE 8080 53/udp",
        "config",
    ),
    "VOLUME": (
        'VOLUME PATH …\nVOLUME ["path"]',
        "Gives every container a volume of its own at these paths, outside its storage layer. What later instructions "
        "write there is kept in the image (older builders dropped it).",
        "VOLUME /var/lib/data",
        "config",
    ),
    "CMD": (
        'CMD ["program", "argument"]\nCMD COMMAND\nCMD ["argument for ENTRYPOINT"]',
        "What a container runs when `docker run` is given no command. Only the last one counts.",
        'CMD ["python3", "-m", "http.server"]',
        "config",
    ),
    "ENTRYPOINT": (
        'ENTRYPOINT ["program", "argument"]\nENTRYPOINT COMMAND',
        "The program that every container runs; CMD, or what follows the image in `docker run`, becomes its arguments. "
        "Only the last one counts. In shell form a shell stands between the program and its signals and arguments.",
        'ENTRYPOINT ["/usr/local/bin/app"]',
        "config",
    ),
    "SHELL": (
        'SHELL ["program", "argument"]',
        "The shell of the shell forms that follow; it is `/bin/sh -c` at first.",
        'SHELL ["/bin/bash", "-o", "pipefail", "-c"]',
        "config",
    ),
    "HEALTHCHECK": (
        "HEALTHCHECK [FLAGS] CMD COMMAND\nHEALTHCHECK NONE",
        "A command that tells from inside whether the container is well: exit status 0 is healthy, 1 is not.",
        "HEALTHCHECK --interval=1m CMD wget -qO- http://localhost:8080/ || exit 1",
        "config",
    ),
    "STOPSIGNAL": (
        "STOPSIGNAL SIGNAL",
        "The signal that `docker stop` sends first, by name or number. Default: SIGTERM.",
        "STOPSIGNAL SIGINT",
        "config",
    ),
    "ONBUILD": (
        "ONBUILD INSTRUCTION",
        "Keeps an instruction for later: it runs right after FROM when another image is built on this one.",
        "ONBUILD COPY . /app",
        "later",
    ),
    "MAINTAINER": (
        "MAINTAINER NAME",
        "The author of the image. Out of date: a label says the same.",
        "MAINTAINER Ada Lovelace",
        "config",
    ),
}
