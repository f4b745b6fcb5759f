"""Every folder under ``cases``: the image has the files, modes, owners, config and history that it must have."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cases
import pytest
import unpacked

from minirt.errors import MinirtError

if TYPE_CHECKING:
    from minirt.engine import Engine

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(scope="module")
def base(shared_engine: Engine) -> unpacked.Unpacked:
    """The base of most cases."""
    return unpacked.unpack(shared_engine.images.get("minirt/base").save(named=False))


@pytest.mark.parametrize("name", [name for name in cases.names() if "error" not in cases.load(name)])
def test_case_comes_out_as_it_must(name: str, build: Any, engine: Engine, base: Any, tmp_path: Path) -> None:
    """The image is the one that BuildKit makes."""
    said = cases.load(name)
    machine = engine.machine
    if said.get("machine", platform.machine()) != platform.machine():
        pytest.skip(f"what comes out names the machine {said['machine']}")
    if said.get("several_ids") and not machine.root and sum(part.count for part in machine.uid_map) <= 1:
        pytest.skip("this user has one id only: links and pipes are root's then, and nobody is in a further group")
    if said.get("reads_all") and not machine.root:
        pytest.skip("an ordinary user may not read all of the context")
    text = (cases.ROOT / name / "Dockerfile").read_bytes()
    context = cases.stage(name, tmp_path)
    result = build(text, context / said.get("below", ""), **cases.fields(said, context))
    image = unpacked.unpack(engine.images.get(str(result.image_id)).save(named=False))
    before = unpacked.Unpacked({"history": []}, {}, {}) if said.get("base") == "scratch" else base
    assert unpacked.difference(before, image) == said["files"]
    assert image.config["config"] == said["config"]
    if "history" in said:
        shown = image.history()[len(before.config["history"]) :]
        lines = [("(empty) " if one.get("empty_layer") else "") + one["created_by"] for one in shown]
        assert lines == said["history"]
        assert {one["comment"] for one in shown} <= {"buildkit.dockerfile.v0"}
    assert {path: image.times[path] for path in said.get("times", ())} == said.get("times", {})


@pytest.mark.parametrize("name", [name for name in cases.names() if "error" in cases.load(name)])
def test_case_is_refused_with_a_place_and_a_reason(name: str, build: Any, engine: Engine, tmp_path: Path) -> None:
    """The error names what is wrong, and points at the line."""
    said = cases.load(name)
    text = (cases.ROOT / name / "Dockerfile").read_bytes()
    context = cases.stage(name, tmp_path)
    with pytest.raises(MinirtError) as caught:
        build(text, context / said.get("below", ""), **cases.fields(said, context))
    assert said["error"] in caught.value.explain()
    assert caught.value.where is not None
    assert not list((engine.home / "tmp").glob("build-*")), "nothing half made is left"
