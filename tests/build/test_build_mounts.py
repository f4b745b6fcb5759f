"""``RUN --mount``: what each kind shows, who may write, and that nothing of it stays in the image."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from minirt.build.ssh_agents import forwarded
from minirt.errors import BuildError, DockerfileError
from minirt.model.events import CacheMissed, StepOutput

if TYPE_CHECKING:
    from minirt.engine import Engine

pytestmark = pytest.mark.usefixtures("nothing_left")


def said(events: list[Any]) -> str:
    return b"".join(event.data for event in events if isinstance(event, StepOutput)).decode()


def missed(events: list[Any]) -> list[str]:
    return [event.step for event in events if isinstance(event, CacheMissed)]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "file").write_text("content\n")
    (tmp_path / "hidden").write_text("no\n")
    (tmp_path / ".dockerignore").write_text("hidden\n")
    return tmp_path


def test_the_context_is_shown_without_what_is_ignored(build: Any, context: Path, events: list[Any]) -> None:
    """A directory, a single file, and the default: all of the context; ignored files are not there."""
    text = """FROM minirt/base
WORKDIR /app
RUN --mount=target=/ctx --mount=source=dir/file,target=f --mount=source=dir,target=d \
    cat /ctx/dir/file f d/file; ls /ctx; stat -c '%u %g' /ctx/dir/file
"""
    build(text, context)
    assert said(events) == "content\n" * 3 + "dir\n0 0\n"


def test_a_stage_is_mounted_and_not_copied(build: Any, engine: Engine, events: list[Any]) -> None:
    """Its files are seen where they were built; where mounting is possible, nobody can write there."""
    text = """FROM minirt/base AS made
RUN mkdir -p /out/d && echo one > /out/d/f && ln -s d /out/link
FROM minirt/base
RUN --mount=from=made,source=/out/link,target=/in --mount=from=made,source=out/d/f,target=/one cat /in/f /one
RUN --mount=from=made,target=/all cat /all/out/d/f; touch /all/new 2>/dev/null && echo written || echo kept
"""
    build(text)
    lines = said(events).splitlines()
    assert [line for line in lines if line == "one"] == ["one"] * 3
    # Without namespaces each command has a copy; Landlock, where the kernel has it, still forbids writing there.
    assert lines[-1] == "kept" or (engine.machine.isolation != "namespaces" and lines[-1] == "written")


def test_what_a_writable_mount_gets_is_gone_afterwards(build: Any, context: Path, events: list[Any]) -> None:
    """rw: the command may write, and neither the stage nor the context nor the next command sees it."""
    text = """FROM minirt/base AS made
RUN mkdir /out && echo one > /out/f
FROM minirt/base
RUN --mount=from=made,source=out,target=/in,rw --mount=target=/ctx,rw \
    echo two > /in/f; touch /in/new /ctx/new; rm /ctx/dir/file; cat /in/f
RUN --mount=from=made,source=out,target=/in --mount=target=/ctx cat /in/f; ls /in; cat /ctx/dir/file; ls /ctx
"""
    build(text, context)
    assert said(events).split() == ["two", "one", "f", "content", "dir"]
    assert (context / "dir" / "file").exists()


def test_an_image_is_mounted(build: Any, events: list[Any]) -> None:
    """``from=`` may name an image that is no stage."""
    build(
        "FROM scratch AS nothing\nFROM minirt/base\nRUN --mount=from=minirt/base,target=/i test -x /i/bin/sh && echo y"
    )
    assert said(events) == "y\n"


def test_a_mount_over_everything_is_refused(build: Any) -> None:
    """As BuildKit refuses it."""
    with pytest.raises(DockerfileError, match="invalid mount target"):
        build("FROM minirt/base\nRUN --mount=type=cache,target=/ true")


def test_a_mounted_stage_counts_by_what_is_shown(build: Any, events: list[Any]) -> None:
    """A stage that changed elsewhere leaves the command in the cache; a change of the shown files does not."""
    text = """FROM minirt/base AS made
RUN mkdir /out; echo {shown} > /out/f; echo {other} > /elsewhere
FROM minirt/base
RUN --mount=from=made,source=out,target=/in cat /in/f > /got
"""
    build(text.format(shown="counts", other="a"))
    events.clear()
    build(text.format(shown="counts", other="b"))
    assert missed(events) == ["0.1"]
    events.clear()
    build(text.format(shown="counts too", other="b"))
    assert missed(events) == ["0.1", "1.1"]


def test_caches_start_from_a_stage_and_are_told_apart(build: Any, events: list[Any]) -> None:
    """``from`` and ``source`` fill a new cache; another id, owner or origin is another cache; targets do not matter."""
    text = """FROM minirt/base AS seed
RUN mkdir /s && echo seed > /s/f
FROM minirt/base
WORKDIR /work
RUN --mount=type=cache,id=mounts-one,from=seed,source=s,target=/c cat /c/f; echo more >> /c/f
RUN --mount=type=cache,id=mounts-one,from=seed,source=s,target=there cat there/f
RUN --mount=type=cache,id=mounts-one,target=/c ls /c
RUN --mount=type=cache,id=mounts-two,target=/c,ro touch /c/x 2>/dev/null && echo written || echo kept
"""
    build(text, no_cache=True)
    first = ["seed", "seed", "more"]
    assert [line for line in said(events).splitlines() if "touch" not in line][:3] == first


def test_a_cache_has_the_owner_and_mode_that_were_asked_for(build: Any, events: list[Any], engine: Engine) -> None:
    """uid, gid and mode are those of the directory."""
    build("FROM minirt/base\nRUN --mount=type=cache,id=dressed,target=/c,mode=700,uid=5,gid=6 stat -c '%a %u %g' /c")
    assert said(events).startswith("700 ")
    if engine.machine.root and engine.machine.isolation == "namespaces":
        assert said(events) == "700 5 6\n"


def test_a_private_cache_is_nobody_elses(build: Any, events: list[Any]) -> None:
    """Two commands at once get one each; one alone finds what the last left."""
    text = """FROM minirt/base AS a
RUN --mount=type=cache,id=mine,sharing=private,target=/c sleep 0.5; ls /c | wc -l; echo {0} > /c/{0}-a; sleep 0.5
FROM minirt/base AS b
RUN --mount=type=cache,id=mine,sharing=private,target=/c sleep 0.5; ls /c | wc -l; echo {0} > /c/{0}-b; sleep 0.5
FROM scratch
COPY --from=a /etc /a
COPY --from=b /etc /b
"""
    build(text.format(1), no_cache=True)
    build(text.format(2), no_cache=True)
    assert said(events).split() == ["0", "0", "1", "1"]


def test_a_locked_cache_is_used_by_one_at_a_time(build: Any, events: list[Any]) -> None:
    """The second waits for the first, and finds what it wrote."""
    text = """FROM minirt/base AS {0}
RUN --mount=type=cache,id=locked,sharing=locked,target=/c test ! -e /c/busy || echo both; touch /c/busy; sleep 0.5; \
    rm /c/busy; echo {0} >> /c/all; wc -l < /c/all
"""
    build(
        text.format("a") + text.format("b") + "FROM scratch\nCOPY --from=a /etc /a\nCOPY --from=b /etc /b\n",
        no_cache=True,
    )
    assert said(events).split() == ["1", "2"]


def test_memory_may_be_limited_and_run_programs(build: Any, events: list[Any], engine: Engine) -> None:
    """``type=tmpfs`` is of the given size, and what is put there can be executed."""
    if engine.machine.isolation != "namespaces":
        pytest.skip("a directory stands in for memory where nothing can be mounted")
    text = """FROM minirt/base
RUN --mount=type=tmpfs,target=/t,size=64k head -c 200000 /dev/zero 2>/dev/null > /t/x || echo full
RUN --mount=type=tmpfs,target=/t printf '#!/bin/sh\\necho ran' > /t/p; chmod +x /t/p; /t/p
"""
    build(text)
    assert said(events) == "full\nran\n"


def test_a_secret_is_never_on_the_disk(build: Any, engine: Engine, events: list[Any]) -> None:
    """It has its mode and place, also a relative one; while the command runs, no file of the home has it."""
    if engine.machine.isolation != "namespaces":
        pytest.skip("a private file stands in for memory where nothing can be mounted")
    secret = b"never-on-a-disk-" + os.urandom(4).hex().encode()
    found: list[Path] = []

    def look() -> None:
        for path in (engine.home / "tmp").rglob("*"):
            if path.is_file() and secret in path.read_bytes():
                found.append(path)

    text = """FROM minirt/base
WORKDIR /app
RUN --mount=type=secret,id=s,target=mine,mode=440 stat -c %a mine; head -c 5 /app/mine; sleep 0.5
"""
    watcher = threading.Timer(0.4, look)
    watcher.start()
    build(text, secrets={"s": secret}, no_cache=True)
    watcher.join()
    assert said(events) == "440\nnever"
    assert not found


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A key without passphrase."""
    if shutil.which("ssh-keygen") is None or shutil.which("ssh-agent") is None:
        pytest.skip("openssh-client is not installed here")
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True)
    return path


def _ask(where: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "SSH_AUTH_SOCK": str(where)}
    return subprocess.run(["ssh-add", *words], env=env, capture_output=True, text=True, check=False)


def test_keys_answer_and_cannot_be_touched(key: Path, tmp_path: Path) -> None:
    """The agent behind the mount lists and signs; it refuses to add, remove or lock keys, and ends afterwards."""
    public = tmp_path / "key.pub"
    with forwarded((str(key),), tmp_path / "agent") as where:
        assert public.read_text().split()[1] in _ask(where, "-L").stdout
        assert _ask(where, "-T", str(public)).returncode == 0
        assert _ask(where, "-D").returncode != 0
        with forwarded((str(where),), tmp_path / "again") as second:
            assert public.read_text().split()[1] in _ask(second, "-L").stdout
    assert not (tmp_path / "agent").exists()
    assert _ask(where, "-L").returncode == 2
    assert str(tmp_path) not in subprocess.run(["ps", "ax"], capture_output=True, text=True, check=True).stdout


def test_a_file_that_is_no_key_is_refused(key: Path, tmp_path: Path) -> None:
    """With the reason, at once and without a question for a passphrase."""
    (tmp_path / "nonsense").write_text("nonsense\n")
    with pytest.raises(BuildError, match="cannot be used"), forwarded((str(tmp_path / "nonsense"),), tmp_path / "a"):
        pass
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", str(key)], check=True)
    with pytest.raises(BuildError, match="cannot be used"), forwarded((str(key),), tmp_path / "b"):
        pass
    assert not (tmp_path / "a").exists()


def test_a_command_gets_a_socket(build: Any, key: Path, events: list[Any]) -> None:
    """Under BuildKit's name and in SSH_AUTH_SOCK, or where the mount says."""
    text = """FROM minirt/base
RUN --mount=type=ssh echo $SSH_AUTH_SOCK; test -S $SSH_AUTH_SOCK && stat -c %a $SSH_AUTH_SOCK
RUN --mount=type=ssh,id=other,target=/sock,mode=666 echo $SSH_AUTH_SOCK; stat -c %a /sock
RUN --mount=type=ssh,id=absent test -e $SSH_AUTH_SOCK || echo none
"""
    build(text, ssh={"default": (str(key),), "other": (str(key),)})
    assert said(events).split() == ["/run/buildkit/ssh_agent.0", "600", "/sock", "666", "none"]


def test_a_required_agent_that_is_not_there(build: Any) -> None:
    """The error says which flag gives it."""
    with pytest.raises(BuildError, match='no SSH key "default" forwarded') as caught:
        build("FROM minirt/base\nRUN --mount=type=ssh,required=true true")
    assert "--ssh default" in caught.value.hint


def test_an_agent_that_hangs_up_is_a_refusal(tmp_path: Path) -> None:
    """The command gets an answer, not silence, when the user's agent is gone in the middle."""
    path = tmp_path / "gone"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    with listener, forwarded((str(path),), tmp_path / "agent") as where, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(where))
        client.settimeout(10)
        threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        client.sendall(b"\0\0\0\1\x0b")
        assert client.recv(5) == b"\0\0\0\1\5"
