"""``-p`` and ``--expose`` as docker reads them."""

from __future__ import annotations

import pytest

from minirt.errors import InvalidSpec, Unsupported
from minirt.networks.ports import Publish, parse_exposed, parse_publish


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("80", [Publish(80)]),
        (":80", [Publish(80)]),
        ("0:80", [Publish(80)]),
        ("8080:80", [Publish(80, "tcp", "", 8080, 8080)]),
        ("127.0.0.1:8080:80", [Publish(80, "tcp", "127.0.0.1", 8080, 8080)]),
        ("127.0.0.1::53/UDP", [Publish(53, "udp", "127.0.0.1")]),
        ("[::1]:8080:80", [Publish(80, "tcp", "::1", 8080, 8080)]),
        ("8000-8010:80", [Publish(80, "tcp", "", 8000, 8010)]),
        ("8000-8001:80-81/udp", [Publish(80, "udp", "", 8000, 8000), Publish(81, "udp", "", 8001, 8001)]),
        ("80-81", [Publish(80), Publish(81)]),
    ],
)
def test_ports_are_read_as_docker_reads_them(text: str, wanted: list[Publish]) -> None:
    """Every form of -p gives the bindings docker makes of it, and its text is read back to the same value."""
    assert list(parse_publish(text)) == wanted
    assert [parse_publish(str(one)) for one in wanted] == [(one,) for one in wanted]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "No port specified"),
        ("8080:", "No port specified"),
        ("a", "Invalid containerPort: a"),
        ("x:80", "Invalid hostPort: x"),
        ("70000", "Invalid containerPort: 70000"),
        ("90-80", "Invalid containerPort: 90-80"),
        ("300.1.1.1:1:1", "Invalid ip address: 300.1.1.1"),
        ("1:2:3:4", "Invalid ip address"),
        ("[::1]80", "Invalid address"),
        ("80/xyz", "Invalid proto: xyz"),
        ("8000-8001:80-82", "Invalid ranges specified for container and host Ports: 80-82 and 8000-8001"),
    ],
)
def test_ports_that_cannot_be_read_are_refused_in_dockers_words(text: str, words: str) -> None:
    """Each mistake is named, with exit code 125."""
    with pytest.raises(InvalidSpec, match=words) as caught:
        parse_publish(text)
    assert caught.value.exit_code == 125


def test_sctp_is_refused_by_name() -> None:
    """A protocol that is not forwarded is not silently dropped."""
    with pytest.raises(Unsupported, match="sctp"):
        parse_publish("80/sctp")


def test_exposed_ports_may_be_ranges() -> None:
    """--expose takes single ports, protocols and ranges."""
    assert parse_exposed(["80", "7000-7001/udp"]) == ("80/tcp", "7000/udp", "7001/udp")
