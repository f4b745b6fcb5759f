"""Live pictures: they move after their cell is done, in their own place, and stop when they should."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

GRAPH = "application/vnd.minirt.graph+json"


@pytest.fixture
def one(kernel: Any) -> Iterator[Any]:
    """A kernel, and a container ``live-box`` that runs in it."""
    assert kernel.run("docker run -d --name live-box minirt/base sleep 600").status == "ok"
    yield kernel
    kernel.run("%graph stop")
    kernel.run("docker rm -f live-box")
    kernel.drain()


def updates(kernel: Any, seconds: float, until: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """The update messages that come, until one satisfies ``until``."""
    found, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            message = kernel.client.get_iopub_msg(timeout=0.3)
        except Exception:
            continue
        if message["msg_type"] == "update_display_data":
            found.append(message)
            if until(message["content"]["data"]):
                return found
    texts = [message["content"]["data"][GRAPH]["text"] for message in found]
    raise AssertionError(f"{len(found)} updates, none as expected: {texts}")


def test_storage_moves_while_other_processes_write(one: Any) -> None:
    """A file, its growing bytes and a whiteout appear in the picture that was shown, and belong to its cell."""
    request = one.send("%graph storage")
    reply = one.collect(request)
    (shown,) = reply.of("display_data")
    assert "live while" in shown["data"][GRAPH]["svg"]
    engine = "engine.containers.get('live-box').exec_run(['sh', '-c', '{}'])"
    one.send(engine.format("head -c 3000 /dev/zero > /new"))
    (*_, first) = updates(one, 10, lambda data: "/new" in data[GRAPH]["text"] and "3 kB" in data[GRAPH]["text"])
    assert first["content"]["transient"]["display_id"] == shown["transient"]["display_id"]
    assert first["parent_header"]["msg_id"] == request
    one.send(engine.format("head -c 4000 /dev/zero >> /new; rm /etc/passwd"))
    updates(one, 10, lambda data: "7 kB" in data[GRAPH]["text"] and "whiteout" in data[GRAPH]["text"])


def test_a_new_picture_lets_the_old_one_stand_still(one: Any) -> None:
    """One moves of each kind; the one before is drawn once more, without saying that it is live."""
    (old,) = one.run("%graph storage").of("display_data")
    one.drain()
    one.send("%graph storage")
    last = updates(one, 10, lambda data: "live while" not in data[GRAPH]["svg"])[-1]
    assert last["content"]["transient"]["display_id"] == old["transient"]["display_id"]
    assert one.run("print(get_ipython().minirt.live.kinds)").text() == "('storage',)\n"


def test_stop_ends_the_thread(one: Any) -> None:
    """After %graph stop nothing looks any more, and nothing is sent."""
    one.run("%graph volumes")
    one.run("%graph storage")
    assert one.run("%graph stop storage").status == "ok"
    assert one.run("print(get_ipython().minirt.live.kinds)").text() == "('volumes',)\n"
    assert one.run("%graph stop").status == "ok"
    threads = (
        "import threading, time; time.sleep(0.5); print([t.name for t in threading.enumerate() if 'live' in t.name])"
    )
    assert one.run(threads).text() == "[]\n"
    reply = one.run("%graph stop layers")
    assert "no live picture" in reply.error


def test_namespaces_follow_the_container(one: Any) -> None:
    """A program started by exec appears beside the first; when the container stops, the picture says so."""
    text = one.run("%graph namespaces live-box").of("display_data")[0]["data"]["text/plain"]
    assert "the container's program" in text
    program = "lambda: engine.containers.get('live-box').exec_run(['sleep', '333'])"
    one.send(f"import threading; threading.Thread(target={program}, daemon=True).start()")
    updates(one, 10, lambda data: "sleep 333" in data["text/plain"] and "docker exec" in data["text/plain"])
    one.send("docker stop -t 0 live-box")
    updates(one, 10, lambda data: "not running (exited)" in data["text/plain"])


def test_states_follow_a_container_to_its_end(one: Any) -> None:
    """Paused, then removed: the picture names the state that the container is in."""

    def state(data: dict[str, Any]) -> str:
        (line,) = [line for line in data["text/plain"].splitlines() if line.endswith("live-box")]
        return str(line.split()[0])

    assert state(one.run("%graph states live-box").of("display_data")[0]["data"]) == "running"
    one.send("docker pause live-box")
    updates(one, 10, lambda data: state(data) == "paused")
    one.send("docker rm -f live-box")
    updates(one, 10, lambda data: state(data) == "gone")
    assert "No such container" in one.run("%graph states nobody").error


def test_without_live_frames_pictures_stand_still(tmp_path: Path, start_kernel: Callable[..., Any]) -> None:
    """For a comparing test: one display and no thread behind it."""
    kernel = start_kernel(tmp_path, tmp_path / "home", MINIRT_LIVE="0")
    assert kernel.run("%graph storage").status == "ok"
    assert kernel.run("print(get_ipython().minirt.live.kinds)").text() == "()\n"
    kernel.close()


def test_networks_move_when_containers_come_and_go(one: Any) -> None:
    """A container that starts after the picture was shown appears in it, and goes with its end."""
    (shown,) = one.run("%graph networks").of("display_data")
    assert "live-box" in shown["data"][GRAPH]["text"]
    one.send("docker run -d --name late-box --network none minirt/base sleep 600")
    updates(one, 10, lambda data: "late-box" in data[GRAPH]["text"])
    one.send("docker rm -f late-box")
    updates(one, 10, lambda data: "late-box" not in data[GRAPH]["text"])
