"""A machine on which nothing can keep a container apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from minirt.engine import Engine
from minirt.errors import Unsupported
from minirt.linux.machine import Answer


@pytest.mark.parametrize(
    ("ptrace", "proot", "word"),
    [
        (Answer(False, "ptrace: Operation not permitted", "sysctl kernel.yama.ptrace_scope=1"), Answer(True), "yama"),
        (Answer(True), Answer(False, "it is not installed", "install the package proot"), "install"),
    ],
)
def test_it_is_refused_with_what_would_change_it(tmp_path: Path, ptrace: Answer, proot: Answer, word: str) -> None:
    """One sentence names both ways that are closed, and the hint what opens them; images can be looked at."""
    with Engine(tmp_path / "home", snapshotter="copy") as engine:
        no = Answer(False, "unshare: Operation not permitted", "sysctl kernel.unprivileged_userns_clone=1")
        refused = {"namespaces": no, "overlay": no, "ptrace": ptrace, "proot": proot}
        image = engine.image_store.base()
        engine.containers.create("minirt/base", ["true"]).remove()  # so that its layers are laid out already
        machine = replace(engine.machine, isolation="none", snapshotter="copy", **refused)
        engine.sandbox.machine = machine
        with pytest.raises(Unsupported, match="no container can run") as caught:
            engine.containers.run("minirt/base", ["true"], remove=True)
        assert word in caught.value.hint and "unprivileged_userns_clone" in caught.value.hint
        assert "unshare" in caught.value.cause and (ptrace.why or proot.why) in caught.value.cause
        assert [found.id for found in engine.images.list()] == [str(image.id)]
        assert engine.containers.list(all=True) == []
