"""The only reader of the environment, and of ``$MINIRT_HOME/config.json``, which has docker's daemon.json's shape."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minirt.errors import InvalidDocument, InvalidSpec

__all__ = ["Settings"]

SNAPSHOTTERS = ("overlay", "copy")
ISOLATIONS = ("namespaces", "proot")
_CONFIG_KEYS = ("registry-mirrors", "insecure-registries", "shared-stores", "snapshotter", "isolation")
_PROXIES = {"http": "http_proxy", "https": "https_proxy", "no_proxy": "no_proxy"}


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the environment decides.

    ``snapshotter`` and ``isolation`` are None where the machine's probe should choose. ``live``: pictures may move
    (``MINIRT_LIVE``). ``source_date_epoch`` in seconds since 1970. ``proxies``: the proxy for ``http`` and for
    ``https`` addresses, and under ``no_proxy`` the hosts that need none, with commas between. ``shared_stores``: homes
    of others whose images are used without being copied.
    """

    home: Path
    mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    shared_stores: tuple[Path, ...] = ()
    snapshotter: str | None = None
    isolation: str | None = None
    live: bool = True
    color: bool = True
    source_date_epoch: int | None = None
    proxies: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """From ``environment`` (default: the process's).

        Raises :class:`InvalidSpec` for a variable and :class:`InvalidDocument` for the file, naming the wrong value.
        """
        environment = os.environ if environment is None else environment
        home = home_of(environment)
        config = _config_file(home / "config.json")
        mirrors = environment.get("MINIRT_REGISTRY_MIRRORS")
        listed = config.get("registry-mirrors", []) if mirrors is None else _words(mirrors)
        return cls(
            home=home,
            mirrors=tuple(_mirror(address) for address in listed),
            insecure_registries=tuple(config.get("insecure-registries", [])),
            shared_stores=_shared_stores(environment.get("MINIRT_SHARED_STORE"), config.get("shared-stores", [])),
            snapshotter=_choice(environment, config, "snapshotter", SNAPSHOTTERS),
            isolation=_choice(environment, config, "isolation", ISOLATIONS),
            live=_boolean(environment, "MINIRT_LIVE", True),
            color=not environment.get("NO_COLOR"),
            source_date_epoch=_epoch(environment.get("SOURCE_DATE_EPOCH", "")),
            proxies=_proxies(environment),
        )

    @staticmethod
    def epoch(environment: Mapping[str, str]) -> int | None:
        """``SOURCE_DATE_EPOCH`` alone. Raises :class:`InvalidSpec`."""
        return _epoch(environment.get("SOURCE_DATE_EPOCH", ""))


def home_of(environment: Mapping[str, str]) -> Path:
    """``$MINIRT_HOME``, else ``minirt`` in the XDG data directory (XDG Base Directory Specification)."""
    named = environment.get("MINIRT_HOME")
    if named:
        return Path(os.path.abspath(os.path.expanduser(named)))
    data = environment.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data):  # the specification: a relative one is to be ignored
        home = environment.get("HOME") or os.path.expanduser("~")
        data = os.path.join(home, ".local", "share")
    return Path(data) / "minirt"


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _shared_stores(variable: str | None, listed: list[str]) -> tuple[Path, ...]:
    """From ``$MINIRT_SHARED_STORE``, with colons between as in ``$PATH``, else from the file."""
    texts = listed if variable is None else [text for text in variable.split(":") if text]
    for text in texts:
        if not os.path.isabs(os.path.expanduser(text)):
            raise InvalidSpec(
                f"invalid MINIRT_SHARED_STORE {text!r}: not an absolute path",
                hint="It names directories, with colons between: /srv/minirt:/srv/more",
            )
    return tuple(Path(os.path.expanduser(text)) for text in texts)


def _mirror(address: str) -> str:
    from urllib.parse import urlsplit

    hint = "MINIRT_REGISTRY_MIRRORS is a comma-separated list of base addresses such as https://mirror.example"
    try:
        parts = urlsplit(address)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidSpec(f"invalid registry mirror {address!r}", cause=str(error), hint=hint) from error
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidSpec(f"invalid registry mirror {address!r}: no http:// or https:// address", hint=hint)
    if parts.query or parts.fragment:
        raise InvalidSpec(f"invalid registry mirror {address!r}: a query or fragment is not allowed", hint=hint)
    return address.rstrip("/")


def _choice(environment: Mapping[str, str], config: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str | None:
    variable = f"MINIRT_{name.upper()}"
    value = environment.get(variable) or config.get(name)
    if not value or value == "auto":
        return None
    if value not in known:
        raise InvalidSpec(f"invalid {variable} {value!r}", hint=f"One of: auto, {', '.join(known)}.")
    return str(value)


def _boolean(environment: Mapping[str, str], name: str, default: bool) -> bool:
    value = environment.get(name, "").strip().lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off"):
        return False
    if value:
        raise InvalidSpec(f"invalid {name} {value!r}", hint="Write 1 or 0.")
    return default


def _epoch(text: str) -> int | None:
    if not text:
        return None
    # Python's calendar ends with the year 9999, which has 12 digits.
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise InvalidSpec(f"invalid SOURCE_DATE_EPOCH {text!r}", hint="It is a number of seconds since 1970.")
    return int(text)


def _proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The upper-case spelling counts too, except HTTP_PROXY in a CGI program, where a client sets it (httpoxy)."""
    found = {}
    for kind, name in _PROXIES.items():
        upper = "" if kind == "http" and "REQUEST_METHOD" in environment else environment.get(name.upper(), "")
        address = environment.get(name) or upper
        if kind != "no_proxy":
            address = address or environment.get("all_proxy") or environment.get("ALL_PROXY", "")
        if address:
            found[kind] = address
    return found


def _config_file(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}  # whether the home can be used at all is the store's to say
    except ValueError as error:
        raise InvalidDocument(f"{path} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise InvalidDocument(f"{path} does not hold a JSON object")
    for key, value in config.items():
        if key not in _CONFIG_KEYS:
            raise InvalidDocument(f"{path}: unknown key {key!r}", hint=f"There are: {', '.join(_CONFIG_KEYS)}.")
        wanted = list if key.endswith("s") else str
        if not isinstance(value, wanted) or (wanted is list and not all(isinstance(item, str) for item in value)):
            shape = "a list of strings" if wanted is list else "a string"
            raise InvalidDocument(f"{path}: {key!r} must be {shape}")
    return config
