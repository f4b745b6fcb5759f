"""What containers are given, refused and told of where there are no namespaces, as in a pod."""

from __future__ import annotations

from typing import Any

import pytest

from minirt.engine import Engine
from minirt.errors import PathNotFound, Unsupported

BASE = "minirt/base"


def _said(pod: Engine, script: str, **options: Any) -> str:
    out = pod.containers.run(BASE, ["sh", "-c", script], remove=True, **options)
    assert isinstance(out, bytes)
    return out.decode()


@pytest.mark.parametrize(
    ("flag", "options"),
    [
        ("--shm-size", {"shm_size": "1g"}),
        ("--ipc", {"ipc_mode": "shareable"}),
        ("--sysctl", {"sysctls": {"kernel.shmmni": "777"}}),
        ("--domainname", {"domainname": "example.org"}),
        ("--userns", {"userns_mode": "private"}),
    ],
)
def test_what_only_namespaces_give_is_refused_by_name(pod: Engine, flag: str, options: dict[str, Any]) -> None:
    """Nothing is made then."""
    with pytest.raises(Unsupported, match=f"{flag}: no namespaces are allowed"):
        pod.containers.create(BASE, ["true"], **options)
    assert pod.containers.list(all=True) == []


def test_rights_that_cannot_be_given_are_told(pod: Engine) -> None:
    """The container is made, as much of what asks for them does well without; a plain one needs no warning."""
    assert pod.containers.create(BASE, ["true"]).warnings == ()
    for flag, options in (("--privileged", {"privileged": True}), ("--cap-add", {"cap_add": ["SYS_PTRACE"]})):
        (warning,) = pod.containers.create(BASE, ["true"], **options).warnings  # type: ignore[arg-type]
        assert warning.startswith(f"{flag} gives nothing here")


def test_given_devices(pod: Engine) -> None:
    """A device that its user may open is found under the name asked for; one that is not there is named."""
    given = ["/dev/zero:/dev/made/other", "/dev/full:/full"]
    assert _said(pod, "head -c 2 /dev/made/other | wc -c; echo x 2>&1 > /full; true", devices=given).startswith("2\n")
    with pytest.raises(PathNotFound, match='custom device "/dev/nosuch"'):
        _said(pod, "true", devices=["/dev/nosuch"])


def test_oom_score(pod: Engine) -> None:
    """The container's programs have it, those that join too."""
    assert _said(pod, "cat /proc/self/oom_score_adj", oom_score_adj=700) == "700\n"
    box = pod.containers.create(BASE, ["sleep", "60"], oom_score_adj=700)
    box.start()
    assert box.exec_run(["cat", "/proc/self/oom_score_adj"]).output == b"700\n"
