"""Published ports as links in the cell that published them."""

from __future__ import annotations

import http.server
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from minirt_kernel.links import Links, PortLink, links_of, show_links, wants_links


class _Page:
    moves = True

    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []

    def write(self, stream: str, text: str) -> None:
        raise AssertionError(text)

    def show(self, bundle: dict[str, Any], display_id: str, *, update: bool) -> None:
        self.shown.append(bundle)


def test_a_link_for_each_tcp_port() -> None:
    """IPv4 and IPv6 of one port are one link, an address of its own keeps it, and udp has none."""
    places = [("0.0.0.0", 8080, "80/tcp"), ("::", 8080, "80/tcp"), ("192.0.2.7", 9, "9/tcp"), ("0.0.0.0", 53, "53/udp")]
    assert links_of("web", places).links == (
        PortLink("web", "localhost", 8080, "80/tcp"),
        PortLink("web", "192.0.2.7", 9, "9/tcp"),
    )


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (["ps"], ""),
        (["container", "ls", "-a"], ""),
        (["port", "web"], "web"),
        (["container", "port", "web"], "web"),
        (["ps", "-q"], None),
        (["ps", "--format", "{{.Names}}"], None),
        (["run", "web"], None),
    ],
)
def test_which_commands_tell_of_ports(argv: list[str], wanted: str | None) -> None:
    """Lists for people do; what is written for programs stays as it is."""
    assert wants_links(argv) == wanted


def test_on_a_hub_the_way_leads_through_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """With jupyter-server-proxy a link below the user's own address; without it, what is missing is said."""
    import importlib.util

    real = importlib.util.find_spec
    for there in (True, False):

        def find(name: str, there: bool = there) -> object:
            return there or None if name == "jupyter_server_proxy" else real(name)

        monkeypatch.setattr(importlib.util, "find_spec", find)
        page = _Page()
        show_links(
            page, Links((PortLink("web", "localhost", 8080, "80/tcp"),)), {"JUPYTERHUB_SERVICE_PREFIX": "/user/ann/"}
        )
        (bundle,) = page.shown
        assert ('<a href="/user/ann/proxy/8080/"' in bundle["text/html"]) is there
        assert ("install jupyter-server-proxy" in bundle["text/plain"]) is not there


def test_names_are_text() -> None:
    """Whatever a container is called, it is no markup."""
    page = _Page()
    show_links(page, Links((PortLink("<img src=x>", "localhost", 1, "1/tcp"),)), {})
    assert "<img" not in page.shown[0]["text/html"]


@pytest.mark.skipif(not os.path.exists("/usr/bin/python3"), reason="no /usr/bin/python3 to lend as a server")
def test_a_running_server_is_one_click_away(kernel: Any, tmp_path: Path) -> None:
    """A detached run shows its link, the address answers, and docker ps shows it again."""
    with socket.socket() as sock, socket.socket() as other:
        sock.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, inner = sock.getsockname()[1], other.getsockname()[1]
    (tmp_path / "index.html").write_text("hello")
    # The base image has no server on every machine, so this one is the machine's.
    lent = f"-v /usr:/usr:ro -v {tmp_path}:/served:ro minirt/base python3 -m http.server {inner} --directory /served"
    reply = kernel.run(f"docker run -d --name linked -p 127.0.0.1:{port}:{inner} {lent}")
    assert reply.status == "ok", reply.error
    if "share the machine's network" in reply.text("stderr"):
        pytest.skip("containers share the machine's network here")
    try:
        (shown,) = reply.of("display_data")
        assert f'href="http://localhost:{port}/"' in shown["data"]["text/html"]
        assert shown["data"]["text/plain"] == f"http://localhost:{port}/ leads to linked, {inner}/tcp"
        answer = ""
        for _ in range(50):
            try:
                answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).read().decode()
                break
            except OSError:
                time.sleep(0.1)
        assert answer == "hello"
        assert [one["data"]["text/plain"] for one in kernel.run("docker ps").of("display_data")] == [
            f"http://localhost:{port}/ leads to linked, {inner}/tcp"
        ]
    finally:
        kernel.run("docker rm -f linked")


def test_a_link_on_a_hub_leads_to_the_port(tmp_path: Path) -> None:
    """A server as a hub and Binder start it, below a user's own address, hands on what a published port answers."""
    pytest.importorskip("jupyter_server_proxy")
    published = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    threading.Thread(target=published.serve_forever, daemon=True).start()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    page, port = _Page(), published.server_address[1]
    show_links(
        page, Links((PortLink("web", "localhost", port, "80/tcp"),)), {"JUPYTERHUB_SERVICE_PREFIX": "/user/ann/"}
    )
    [path] = re.findall(r'href="([^"]+)"', page.shown[0]["text/html"])
    command = [
        sys.executable,
        "-m",
        "jupyter_server",
        "--no-browser",
        "--allow-root",
        "--ServerApp.base_url=/user/ann/",
    ]
    options = [
        f"--port={address.rpartition(':')[2]}",
        "--IdentityProvider.token=key",
        f"--ServerApp.root_dir={tmp_path}",
    ]
    env = {**os.environ, "HOME": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path)}
    server = subprocess.Popen([*command, *options], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert _get(f"{address}{path}page?token=key") == "container says /page"
    finally:
        server.terminate()
        server.wait()
        published.shutdown()
        published.server_close()


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"container says {self.path.partition('?')[0]}".encode())

    def log_message(self, *_: object) -> None:
        pass


def _get(url: str) -> str:
    """What it answers, once it does."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
