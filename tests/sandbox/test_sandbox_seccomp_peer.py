"""Which system calls get through: the same ones as with docker's default profile, tried one by one."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import uuid

import pytest

from minirt.engine import Engine

pytestmark = pytest.mark.peer

# Arguments that no call can do anything with; what would never come back, or end the probe, is left out.
_PROBE = r"""
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static const int left_out[] = {SYS_exit, SYS_exit_group, SYS_fork, SYS_vfork, SYS_clone, SYS_rt_sigreturn, SYS_pause,
                               SYS_rt_sigsuspend, SYS_kill, SYS_reboot, SYS_personality};
static const long cases[][4] = {
    {SYS_socket, 40, 1, 0}, {SYS_socket, 16, 3, 0}, {SYS_socket, 17, 3, 0}, {SYS_socket, 2, 3, 1},
    {SYS_personality, 0x20000, 0, 0}, {SYS_personality, 4, 0, 0}, {SYS_personality, 0xffffffff, 0, 0},
    {SYS_clone, 0x10000000 | 17, 0, 0}, {SYS_clone, 0x20000 | 17, 0, 0}, {SYS_unshare, 0x10000000, 0, 0},
    {SYS_ptrace, 0, 0, 0}, {SYS_process_vm_readv, 0, 0, 0}, {SYS_pidfd_open, 1, 0, 0}, {SYS_io_uring_setup, 1, 0, 0},
    {SYS_keyctl, 0, 0, 0}, {SYS_bpf, 0, 0, 0}, {SYS_perf_event_open, 0, 0, 0}, {SYS_userfaultfd, 0, 0, 0},
};
static void tell(const char *name, long number, long argument, long a, long b, long c, long d, long e, long f) {
    pid_t child = fork();
    if (child == 0) {
        alarm(2);
        errno = 0;
        long result = syscall(number, a, b, c, d, e, f);
        _exit(result < 0 && (errno == EPERM || errno == ENOSYS) ? 1 : 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    printf("%s %ld %ld %s\n", name, number, argument,
           WIFEXITED(status) && WEXITSTATUS(status) == 1 ? "refused" : "let through");
}
int main(void) {
    for (long number = 0; number < 475; number++) {
        int skip = 0;
        for (unsigned i = 0; i < sizeof left_out / sizeof *left_out; i++) skip |= left_out[i] == number;
        if (!skip) tell("call", number, -1, -1L, -1L, -1L, -1L, -1L, -1L);
    }
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
        tell("case", cases[i][0], cases[i][1], cases[i][1], cases[i][2], cases[i][3], 0, 0, 0);
    return 0;
}
"""


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An image with nothing but the probe, as a tar of its files."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or shutil.which("docker") is None:
        pytest.skip("it takes docker and a C compiler")
    if subprocess.run(["docker", "version"], capture_output=True, check=False).returncode:
        pytest.skip("no docker daemon answers here")
    place = tmp_path_factory.mktemp("probe")
    (place / "probe.c").write_text(_PROBE)
    command = [compiler, "-static", "-O1", "-o", str(place / "probe"), str(place / "probe.c")]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("the C compiler cannot link statically")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(place / "probe", "probe")
        for name in ("proc", "dev", "sys", "etc"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
    return archive.getvalue()


@pytest.mark.parametrize("rights", [[], ["SYS_ADMIN"], ["SYS_PTRACE", "SYSLOG", "SYS_TIME", "SYS_NICE"]])
def test_system_calls_are_filtered_as_dockers_are(shared_engine: Engine, probe: bytes, rights: list[str]) -> None:
    """Each of 475 numbers, and some calls with telling arguments, is refused or not as with docker."""
    if not shared_engine.machine.root:
        pytest.skip("docker's engine runs as root: only root's containers compare")
    name = f"minirt-probe-{uuid.uuid4().hex[:8]}"
    flags = [word for right in rights for word in ("--cap-add", right)]
    subprocess.run(["docker", "import", "-", name], input=probe, check=True, capture_output=True)
    try:
        done = subprocess.run(["docker", "run", "--rm", *flags, name, "/probe"], capture_output=True, check=True)
    finally:
        subprocess.run(["docker", "rmi", "-f", name], capture_output=True, check=False)
    theirs = done.stdout.decode().splitlines()
    shared_engine.images.import_image(io.BytesIO(probe), repository=name)
    out = shared_engine.containers.run(name, ["/probe"], remove=True, cap_add=rights)
    assert isinstance(out, bytes)
    ours = out.decode().splitlines()
    assert len(ours) > 400 and re.match(r"call 0 -1 ", ours[0])
    assert [line for line in ours if line not in theirs] == []
    shared_engine.images.remove(name, force=True)
