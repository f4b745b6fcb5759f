"""The options of ``run`` and ``create``, and what they mean to the engine."""

from __future__ import annotations

import re
from typing import Any

from minirt.cli.grammar import Flag, absent, number, switch, value, values
from minirt.cli.isolation_flags import isolation_flags, isolation_options
from minirt.cli.network_flags import network_options
from minirt.cli.session import Session
from minirt.cli.setting_flags import setting_flags, setting_options
from minirt.cli.values import environment, environment_pair, label_pair, read_lines
from minirt.errors import InvalidSpec
from minirt.volumes.mount_flag import parse_mount
from minirt.volumes.specs import parse_tmpfs, parse_volume

__all__ = ["container_flags", "engine_options"]

PULL_POLICIES = ("always", "missing", "never")
_NO_NETWORK = "minirt's networks have IPv4 addresses and names of their own choosing"
_NOT_YET = (
    ("--ip6", "", "IPv6 address", "string", _NO_NETWORK),
    ("--link-local-ip", "", "Container IPv4/IPv6 link-local addresses", "list", _NO_NETWORK),
    ("--mac-address", "", "Container MAC address", "string", _NO_NETWORK),
)  # fmt: skip
_CAPABILITIES = re.compile(r"(?:CAP_)?[A-Z0-9_]+|ALL", re.IGNORECASE)


def container_flags() -> list[Flag]:
    """Made anew for each command: click keeps state in them."""
    return [
        values("--add-host", "", "Add a custom host-to-IP mapping (host:ip)", parse=_host),
        values("--cap-add", "", "Add Linux capabilities", parse=_capability),
        values("--cap-drop", "", "Drop Linux capabilities", parse=_capability),
        value("--cidfile", "", "Write the container ID to the file"),
        value("--entrypoint", "", "Overwrite the default ENTRYPOINT of the image", default=None),
        values("--dns", "", "Set custom DNS servers", parse=_address),
        values("--dns-option", "", "Set DNS options"),
        values("--dns-search", "", "Set custom DNS search domains"),
        values("--env", "e", "Set environment variables", name="env", parse=environment_pair),
        values("--env-file", "", "Read in a file of environment variables"),
        values("--expose", "", "Expose a port or a range of ports", parse=_exposed),
        value("--hostname", "h", "Container host name"),
        switch("--interactive", "i", "Keep STDIN open even if not attached"),
        value("--ip", "", "IPv4 address (e.g., 172.30.100.104)", parse=_address, default=None),
        values("--link", "", "Add link to another container"),
        values("--label", "l", "Set meta data on a container", parse=label_pair),
        values("--label-file", "", "Read in a line delimited file of labels"),
        values("--mount", "", "Attach a filesystem mount to the container", word="mount", parse=_mount),
        value("--name", "", "Assign a name to the container"),
        values("--network", "", "Connect a container to a network", word="network"),
        values("--net", "", "The same as --network", word="network", hidden=True),
        values("--network-alias", "", "Add network-scoped alias for the container"),
        value("--platform", "", "Set platform if server is multi-platform capable"),
        switch("--privileged", "", "Give extended privileges to this container"),
        value(
            "--pull", "", 'Pull image before running ("always", "missing", "never") (default "missing")',
            default="missing",
        ),
        values("--publish", "p", "Publish a container's port(s) to the host", parse=_published),
        switch("--publish-all", "P", "Publish all exposed ports to random ports"),
        switch("--quiet", "q", "Suppress the pull output"),
        switch("--read-only", "", "Mount the container's root filesystem as read only"),
        switch("--rm", "", "Automatically remove the container and its associated anonymous volumes when it exits"),
        value("--stop-signal", "", "Signal to stop the container"),
        number("--stop-timeout", "", "Timeout (in seconds) to stop a container"),
        values("--tmpfs", "", "Mount a tmpfs directory"),
        switch("--tty", "t", "Allocate a pseudo-TTY"),
        value("--user", "u", "Username or UID (format: <name|uid>[:<group|gid>])", default=None),
        values("--volume", "v", "Bind mount a volume"),
        values("--volumes-from", "", "Mount volumes from the specified container(s)"),
        value("--workdir", "w", "Working directory inside the container"),
        *setting_flags(),
        *isolation_flags(),
        *(absent(long, short, text, word=word, **({"why": why} if why else {}))
          for long, short, text, word, why in _NOT_YET),
    ]  # fmt: skip


def engine_options(session: Session, options: dict[str, Any]) -> dict[str, Any]:
    """docker-py's keyword arguments of ``containers.create``. Raises InvalidSpec, PathNotFound."""
    _check_policy(options["pull"])
    cwd = str(session.cwd)
    mounts = [
        *(parse_volume(text, cwd) for text in options["volume"]),
        *(parse_mount(text, cwd) for text in options["mount"]),
        *(parse_tmpfs(text) for text in options["tmpfs"]),
    ]
    if options["stop_signal"]:
        from minirt.containers.processes import parse_signal

        parse_signal(options["stop_signal"])
    targets = [mount.target for mount in mounts]
    for target in targets:
        if targets.count(target) > 1:
            raise InvalidSpec(f"Duplicate mount point: {target}", hint="Each path can be mounted over once.")
    if options["workdir"] and not options["workdir"].startswith("/"):
        raise InvalidSpec(f"the working directory '{options['workdir']}' is invalid, it needs to be an absolute path")
    label_lines = [line for file in options["label_file"] for line in read_lines(session.cwd / file)]
    entrypoint = options["entrypoint"]
    return {
        "name": options["name"] or None,
        "hostname": options["hostname"] or None,
        "environment": environment(options["env"], options["env_file"], session.environment, session.cwd),
        "entrypoint": None if entrypoint is None else [entrypoint] if entrypoint else [],
        "working_dir": options["workdir"] or None,
        "user": options["user"],
        "tty": options["tty"],
        "stdin_open": options["interactive"],
        "mounts": mounts,
        "volumes_from": options["volumes_from"],
        **network_options(options),
        "labels": dict([*(label_pair(line) for line in label_lines), *options["label"]]),
        "read_only": options["read_only"],
        "privileged": options["privileged"],
        "cap_add": options["cap_add"],
        "cap_drop": options["cap_drop"],
        "extra_hosts": options["add_host"],
        "exposed_ports": [port for ports in options["expose"] for port in ports],
        "ports": [text for texts in options["publish"] for text in texts],
        "publish_all_ports": options["publish_all"],
        "links": options["link"],
        "dns": options["dns"],
        "dns_search": options["dns_search"],
        "dns_options": options["dns_option"],
        "stop_signal": options["stop_signal"] or None,
        "stop_timeout": options["stop_timeout"],
        **setting_options(options),
        **isolation_options(options),
    }


def _mount(text: str) -> str:
    """Checked at once, so that the mistake is told with the flag's name; read again where the directory is known."""
    parse_mount(text)
    return text


def _check_policy(text: str) -> None:
    if text not in PULL_POLICIES:
        raise InvalidSpec(f'invalid pull option: \'{text}\': must be one of "always", "missing" or "never"')


def _host(text: str) -> str:
    import ipaddress

    name, mark, address = text.partition("=" if "=" in text.partition(":")[0] else ":")
    try:
        if not mark or not name:
            raise ValueError
        if address != "host-gateway":
            ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        raise ValueError(f'bad format for add-host: "{text}"') from None
    return f"{name}:{address.strip('[]')}"


def _address(text: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"{text} is not an ip address") from None


def _published(text: str) -> tuple[str, ...]:
    from minirt.networks.ports import parse_publish

    return tuple(str(one) for one in parse_publish(text))


def _exposed(text: str) -> tuple[str, ...]:
    from minirt.networks.ports import parse_exposed

    return parse_exposed([text])


def _capability(text: str) -> str:
    if not _CAPABILITIES.fullmatch(text):
        raise ValueError(f'unknown capability: "{text}"')
    return text
