"""Limits, restarts, health checks and rights, as a user asks for them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minirt.engine import Engine
from minirt.engine.containers import Container
from minirt.errors import ContainerFailed, InvalidSpec, MinirtError, Unsupported

BASE = "minirt/base"


def _wait_for(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def _detached(engine: Engine, *argv: str, **options: Any) -> Container:
    container = engine.containers.run(BASE, list(argv), detach=True, **options)
    assert isinstance(container, Container)
    return container


def _output(engine: Engine, script: str, **options: Any) -> str:
    out = engine.containers.run(BASE, ["sh", "-c", script], remove=True, **options)
    assert isinstance(out, bytes)
    return out.decode()


def _groups(container: Container) -> list[Path]:
    return [path for path in Path("/sys/fs/cgroup").glob(f"*/minirt/{container.id}") if path.exists()]


def test_limits_hold_or_are_refused_by_name(engine: Engine) -> None:
    """With control groups the kernel knows the limits; without, the flag is named and nothing is made."""
    if not engine.machine.cgroups.ok:
        with pytest.raises(Unsupported, match="--memory"):
            engine.containers.create(BASE, ["true"], mem_limit="64m")
        assert engine.containers.list(all=True) == []
        return
    container = _detached(engine, "sleep", "60", mem_limit="64m", pids_limit=30, nano_cpus=500_000_000)
    stats = container.stats(stream=False)
    assert isinstance(stats, dict)
    assert stats["memory_stats"]["limit"] == 64 << 20
    assert stats["pids_stats"]["current"] >= 1
    container.update(mem_limit="96m", memswap_limit="96m", restart_policy={"Name": "on-failure"})
    again = container.stats(stream=False)
    assert isinstance(again, dict)
    assert again["memory_stats"]["limit"] == 96 << 20
    host = engine.containers.get(container.id).attrs["HostConfig"]
    assert (host["Memory"], host["PidsLimit"], host["NanoCpus"]) == (96 << 20, 30, 500_000_000)
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 0}
    assert container.exec_run(["true"])[0] == 0
    container.kill()
    _wait_for(lambda: not _groups(container))


def test_a_pause_reaches_commands_that_joined(engine: Engine) -> None:
    """The freezer holds them, too; a paused container can be killed."""
    container = _detached(engine, "sleep", "60")
    container.pause()
    assert container.status == "paused"
    container.kill()
    assert container.status == "exited"


def test_groups_do_not_outlive_a_killed_monitor(engine: Engine) -> None:
    """What the monitor could not take away, the next look at the containers does."""
    container = _detached(engine, "sleep", "60")
    os.kill(container.state.monitor_pid, 9)
    _wait_for(lambda: container.status == "exited")
    engine.containers.list(all=True)
    _wait_for(lambda: engine.containers.list(all=True) and not _groups(container))


def test_a_restart_policy_ends_with_stop(engine: Engine) -> None:
    """`always` starts again and counts; `stop` is final; `rm` of one that restarts needs force."""
    container = _detached(engine, "sh", "-c", "sleep 0.05; exit 4", restart_policy={"Name": "always"})
    _wait_for(lambda: container.attrs["RestartCount"] >= 2)
    assert container.state.alive
    container.stop(timeout=1)
    assert container.status == "exited"
    time.sleep(0.3)
    assert container.status == "exited"


def test_a_wrong_policy_is_refused(engine: Engine) -> None:
    """Before anything is made."""
    for policy in ("sometimes", "always:3"):
        with pytest.raises(InvalidSpec, match="restart policy"):
            engine.containers.create(BASE, ["true"], restart_policy=policy)
    assert engine.containers.list(all=True) == []


def test_the_images_health_check_is_run(engine: Engine) -> None:
    """HEALTHCHECK of the image, with what the user changes; `NONE` takes it away."""
    image = engine.images.build(
        text="FROM minirt/base\nHEALTHCHECK --interval=100ms --retries=1 CMD test -e /well\n", tag="checked:1"
    )
    container = engine.containers.run(image.id, ["sh", "-c", "sleep 0.3; touch /well; sleep 60"], detach=True)
    assert isinstance(container, Container)
    _wait_for(lambda: container.attrs["State"]["Health"]["Status"] == "unhealthy")
    _wait_for(lambda: container.attrs["State"]["Health"]["Status"] == "healthy")
    plain = engine.containers.run(image.id, ["sleep", "60"], detach=True, healthcheck={"test": ["NONE"]})
    assert isinstance(plain, Container)
    assert "Health" not in plain.attrs["State"]


def test_ulimits_init_and_read_only(engine: Engine, isolated: bool) -> None:
    """Each reaches the program. (In a pod process 1 is the machine's, and what may only be read says so otherwise.)"""
    assert _output(engine, "ulimit -n; ulimit -Hn", ulimits=["nofile=100:200"]).split() == ["100", "200"]
    assert _output(engine, "cat /proc/1/comm", init=True) == "minirt-init\n" or not isolated
    if isolated or engine.machine.landlock.ok:
        refusal = "Read-only file system" if isolated else "Permission denied"
        assert refusal in _output(engine, "touch /x 2>&1; true", read_only=True)
    with pytest.raises(InvalidSpec, match="ulimit"):
        engine.containers.create(BASE, ["true"], ulimits=["files=1"])


def test_exec_is_bound_as_its_container_is(engine: Engine) -> None:
    """A further program has the container's limits, no-new-privileges and filter, as with docker."""
    options = ["no-new-privileges", *([] if engine.machine.single_id else ["seccomp=unconfined"])]
    container = engine.containers.create(BASE, ["sleep", "60"], security_opt=options, ulimits=["nofile=77:78"])
    container.start()
    show = ["sh", "-c", "ulimit -n; grep -E 'NoNewPrivs|Seccomp:' /proc/self/status"]
    said = container.exec_run(show).output.split()
    container.kill()
    assert said == [b"77", b"NoNewPrivs:", b"1", b"Seccomp:", b"2" if engine.machine.single_id else b"0"]


def _profile(default: str = "SCMP_ACT_ALLOW", *rules: dict[str, object]) -> list[str]:
    return [f"seccomp={json.dumps({'defaultAction': default, 'syscalls': rules})}"]


def test_a_seccomp_profile_holds(engine: Engine) -> None:
    """Calls are refused with the errno it says, depending on arguments, or end the program; for exec as well."""
    refused = {"names": ["mkdir", "mkdirat", "nonsense"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}
    if engine.machine.isolation != "namespaces":
        with pytest.raises(Unsupported, match="containers are traced here"):
            engine.containers.create(BASE, ["true"], security_opt=_profile("SCMP_ACT_ALLOW", refused))
        return
    script = "mkdir /x 2>&1; ls -d /x /tmp 2>/dev/null; true"
    said = _output(engine, script, security_opt=_profile("SCMP_ACT_ALLOW", refused))
    assert "No space left" in said and said.endswith("/tmp\n") and "/x\n" not in said
    by_argument = {
        "names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "op": "SCMP_CMP_EQ", "value": 12}],
    }  # fmt: skip
    script = "trap 'echo got 10' USR1; kill -USR1 $$; kill -USR2 $$ 2>&1; echo on"
    said = _output(engine, script, security_opt=_profile("SCMP_ACT_ALLOW", by_argument))
    assert "got 10" in said and "not permitted" in said and said.endswith("on\n")
    container = engine.containers.create(
        BASE, ["sleep", "60"], security_opt=_profile("SCMP_ACT_ALLOW", {**refused, "action": "SCMP_ACT_KILL_PROCESS"})
    )
    container.start()
    assert container.exec_run(["mkdir", "/x"]).exit_code == 128 + 31  # SIGSYS
    assert container.exec_run(["true"]).exit_code == 0
    container.kill()


def test_a_wrong_seccomp_profile_makes_no_container(engine: Engine) -> None:
    """It is refused when the container is made."""
    with pytest.raises(InvalidSpec, match="no action is called 'NO'"):
        engine.containers.create(BASE, ["true"], security_opt=_profile("NO"))


def test_capabilities_follow_dockers_rule(engine: Engine) -> None:
    """ALL counts first, then names; no-new-privileges shows; seccomp can be taken away.

    In a pod nothing is given nor taken: its containers have what it has itself.
    """
    show = "grep -E 'CapBnd|NoNewPrivs|Seccomp:' /proc/self/status"
    if engine.machine.isolation != "namespaces":
        ours = [line for line in open("/proc/self/status") if re.match("CapBnd|NoNewPrivs|Seccomp:", line)]  # noqa: SIM115
        assert _output(engine, show, cap_drop=["ALL"]) == _output(engine, show) == "".join(ours)
        return
    none = _output(engine, show, cap_drop=["ALL"])
    assert "0000000000000000" in none and "NoNewPrivs:\t0" in none and "Seccomp:\t2" in none
    one = _output(engine, show, cap_drop=["ALL"], cap_add=["NET_RAW"], security_opt=["no-new-privileges"])
    assert "0000000000002000" in one and "NoNewPrivs:\t1" in one
    if not engine.machine.single_id:
        assert "Seccomp:\t0" in _output(engine, show, security_opt=["seccomp=unconfined"])
    with pytest.raises(InvalidSpec, match="security-opt"):
        engine.containers.create(BASE, ["true"], security_opt=["apparmor=x"])


def test_a_capability_that_root_lacks_is_refused_by_name(engine: Engine) -> None:
    """A root that was itself confined cannot give what it does not have."""
    from minirt.linux import caps

    missing = [name for n, name in enumerate(caps.CAPABILITIES) if not caps.permitted() >> n & 1]
    if not engine.machine.root or not missing:
        pytest.skip("this root has them all, or this is an ordinary user")
    with pytest.raises(Unsupported, match=missing[0]):
        engine.containers.create(BASE, ["true"], cap_add=[missing[0]])


def test_the_log_keeps_to_its_size(engine: Engine) -> None:
    """max-size is in force, and `logs` reads all files there are, in order."""
    script = "i=0; while [ $i -lt 400 ]; do echo $i; i=$((i+1)); done"
    container = engine.containers.create(
        BASE, ["sh", "-c", script], log_config={"config": {"max-size": "8k", "max-file": "2"}}
    )
    container.run(lambda *_: None)
    logs = container.logs()
    assert isinstance(logs, bytes)
    numbers = [int(line) for line in logs.split()]
    assert numbers == list(range(numbers[0], 400)) and numbers[0] > 0
    with pytest.raises(InvalidSpec):
        engine.containers.create(BASE, ["true"], log_config={"config": {"mode": "x"}})


def test_an_update_that_makes_no_sense_is_refused(engine: Engine) -> None:
    """Too little memory, and a policy beside --rm."""
    container = engine.containers.create(BASE, ["true"], auto_remove=True)
    with pytest.raises(InvalidSpec):
        container.update(restart_policy="always")
    with pytest.raises(InvalidSpec, match="6MB"):
        container.update(mem_limit="1k")
    with pytest.raises(ContainerFailed):
        engine.containers.run(BASE, ["false"], remove=True)


def test_what_cannot_be_removed_is_dead_and_can_be_removed_later(engine: Engine) -> None:
    """Something is in the way: the container does not vanish halfway."""
    if os.geteuid() != 0:
        pytest.skip("only root can put a mount in the way")
    container = engine.containers.create(BASE, ["true"])
    obstacle = engine.home / "containers" / container.id / "upper" / "obstacle"
    obstacle.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "minirt-test", str(obstacle)], check=True)
    try:
        with pytest.raises((OSError, MinirtError)):
            container.remove()
        assert container.attrs["State"]["Dead"] is True
    finally:
        subprocess.run(["umount", str(obstacle)], check=True)
    container.remove()
    assert engine.containers.list(all=True) == []
