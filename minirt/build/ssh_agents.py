"""``RUN --mount=type=ssh``: an agent that signs for a command without giving a key away.

The command talks to a socket of ours, which passes on two questions to the user's agent, "which keys" and "sign this",
and refuses every other (adding, removing, locking keys), as BuildKit does (session/sshforward/sshprovider). The
protocol is draft-ietf-sshm-ssh-agent: a length of four bytes, one byte that says what it is, and the rest.

Keys given as files are held by an ``ssh-agent`` of this build's own (OpenSSH's), which ends with the command.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from minirt.errors import BuildError, Location, Unsupported

__all__ = ["forwarded"]

_LENGTH = struct.Struct(">I")
_REFUSED = b"\x05"
_PASSED_ON = (11, 13)  # SSH_AGENTC_REQUEST_IDENTITIES, SSH_AGENTC_SIGN_REQUEST
_MOST = 256 * 1024  # bytes of one message, as OpenSSH has it


@contextmanager
def forwarded(paths: Sequence[str], where: Path, asked: Location | None = None) -> Iterator[Path]:
    """A socket in the new directory ``where``, behind which the agent of ``paths`` answers: a socket, or key files.

    Raises :class:`BuildError` for a key that cannot be used, :class:`Unsupported` where key files need an
    ``ssh-agent`` that is not installed. Everything ends with the ``with``.
    """
    where.mkdir(mode=0o755)
    own = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    # A socket's path has at most 108 bytes; this one is short wherever the home lies.
    short = f"/proc/self/fd/{own}"
    try:
        with contextlib.ExitStack() as stack:
            agent = paths[0] if _is_socket(paths[0]) else stack.enter_context(_agent_of(paths, where, asked))
            agent = agent or f"{short}/keys"
            stack.enter_context(_Proxy(f"{short}/agent", agent))
            yield where / "agent"
    finally:
        os.close(own)
        shutil.rmtree(where, ignore_errors=True)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


@contextmanager
def _agent_of(paths: Sequence[str], where: Path, asked: Location | None) -> Iterator[str]:
    programs = [shutil.which(name) for name in ("ssh-agent", "ssh-add")]
    if programs[0] is None or programs[1] is None:
        raise Unsupported(
            "key files for --ssh need the programs ssh-agent and ssh-add on this machine",
            where=asked,
            hint="Install openssh-client, or give the socket of an agent that runs: --ssh default=$SSH_AUTH_SOCK.",
        )
    env = {"PATH": os.defpath, "HOME": str(where), "LC_ALL": "C"}
    # The agent ends within seconds of the program it serves; that one ends when our end of the pipe closes.
    process = subprocess.Popen(
        [programs[0], "-a", "keys", "sh", "-c", "echo $SSH_AGENT_PID; exec cat"],
        cwd=where, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, umask=0o077,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    agent = 0
    try:
        agent = int(process.stdout.readline() or 0)
        for path in paths:
            _add(programs[1], path, where, env, asked)
        yield ""
    finally:
        if agent:
            with contextlib.suppress(ProcessLookupError):
                os.kill(agent, signal.SIGTERM)
        process.stdin.close()
        process.stdout.close()
        process.wait()


def _add(program: str, path: str, where: Path, env: dict[str, str], asked: Location | None) -> None:
    # The key comes by standard input: ssh-add would refuse a file that others may read, BuildKit does not.
    try:
        key = Path(path).read_bytes()
    except OSError as error:
        raise BuildError(f"cannot read the ssh key {path}: {error.strerror}", where=asked) from error
    done = subprocess.run(
        [program, "-q", "-"], input=key, capture_output=True, check=False, cwd=where, start_new_session=True,
        env={**env, "SSH_AUTH_SOCK": "keys", "SSH_ASKPASS_REQUIRE": "force", "SSH_ASKPASS": "/bin/false"},
    )  # fmt: skip
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BuildError(
            f"the ssh key {path} cannot be used",
            where=asked,
            cause=said[-1] if said else "it is no private key, or a passphrase protects it",
            hint="Add it to an agent of your own with ssh-add, and give that: --ssh default.",
        )


class _Proxy:
    """Listens at ``path`` and passes on to ``agent``, from a thread for each connection."""

    def __init__(self, path: str, agent: str) -> None:
        self._agent = agent
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._listener.bind(path)
        self._listener.listen()
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._listen, name="ssh-agent", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        for sock in (self._listener, *tuple(self._open)):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _listen(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            self._open.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent, contextlib.suppress(OSError):
            agent.connect(self._agent)
            while message := _receive(client):
                answer = _ask(agent, message) if message[0] in _PASSED_ON else b""
                _send(client, answer or _REFUSED)
        self._open.discard(client)


def _ask(agent: socket.socket, message: bytes) -> bytes:
    """The agent's answer; empty when it is gone."""
    try:
        _send(agent, message)
        return _receive(agent)
    except OSError:
        return b""


def _receive(sock: socket.socket) -> bytes:
    """One message; empty when the other end is gone or talks nonsense."""
    head = _exactly(sock, _LENGTH.size)
    size = _LENGTH.unpack(head)[0] if head else 0
    return _exactly(sock, size) if size <= _MOST else b""


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            return b""
        data += piece
    return data


def _send(sock: socket.socket, message: bytes) -> None:
    sock.sendall(_LENGTH.pack(len(message)) + message)
