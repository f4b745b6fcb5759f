"""The same cases built by Docker's BuildKit from the same base: path by path and field by field the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cases
import docker_peer
import pytest
import unpacked

from minirt.errors import MinirtError

if TYPE_CHECKING:
    from minirt.engine import Engine

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def _base(shared_engine: Engine) -> Iterator[None]:
    docker_peer.need_docker()
    archive = b"".join(shared_engine.images.get("minirt/base").save())
    docker_peer.docker("load", input=archive, check=True)
    yield
    docker_peer.remove_images()
    docker_peer.docker("rmi", "-f", "minirt/base")


@pytest.mark.usefixtures("_base")
@pytest.mark.parametrize("name", [name for name in cases.names() if cases.load(name).get("peer", True)])
def test_docker_makes_the_same_image(name: str, build: Any, engine: Engine, tmp_path: Path) -> None:
    """Files, owners, modes, attributes, times, config and history agree, or both refuse."""
    said = cases.load(name)
    context = cases.stage(name, tmp_path)
    theirs = docker_peer.build(cases.ROOT / name / "Dockerfile", context, said)
    text = (cases.ROOT / name / "Dockerfile").read_bytes()
    try:
        result = build(text, context / said.get("below", ""), **{**cases.fields(said, context), "no_cache": True})
    except MinirtError as error:
        assert isinstance(theirs, docker_peer.Refused), f"docker builds it, but: {error.explain()}"
        return
    assert not isinstance(theirs, docker_peer.Refused), theirs.message
    if name == "add-tar-xz" and theirs.files["/out"].startswith("file "):
        pytest.skip("the machine of this docker engine has no xz, which it would call")
    ours = unpacked.unpack(engine.images.get(str(result.image_id)).save(named=False))
    assert ours.files == theirs.files
    assert ours.links == theirs.links
    assert ours.old_times() == theirs.old_times()
    assert ours.plain_config() == theirs.plain_config()
    assert ours.history() == theirs.history()
