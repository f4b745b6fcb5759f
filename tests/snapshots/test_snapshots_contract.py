"""What both drivers promise, and that they tell one history in the same bytes."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minirt.layers.entries import read_entries
from minirt.linux.probe import probe
from minirt.model.digest import Digest
from minirt.sandbox import Sandbox
from minirt.snapshots import CopySnapshots, Layer, LayerSource, OverlaySnapshots, Snapshots
from minirt.store import Store

sys.path.append(str(Path(__file__).parent))  # where the worker finds ``histories``

Steps = Sequence[Sequence[Any]]
EPOCH = 1_000_000_000
BASE: Steps = (
    ("mkdir", "d"), ("mkdir", "d/e"), ("mkdir", "gone"), ("mkdir", "empty"), ("write", "a", 10), ("write", "d/b", 300),
    ("write", "d/e/c", 0), ("write", "gone/x", 5), ("link", "a", "a2"), ("symlink", "l", "a"), ("sparse", "holes", 300),
    ("xattr", "d/b", 1), ("owner", "d/e/c", 7), ("mode", "d/b", 0o4755), ("age", "a", 3), ("age", "d/b", 4),
    ("write", "closed", 9), ("mode", "closed", 0o400),
)  # fmt: skip


@dataclass
class Bench:
    """A driver over a home of its own."""

    snapshots: Snapshots
    store: Store
    sandbox: Sandbox
    home: Path
    made: int = 0

    def where(self) -> Path:
        self.made += 1
        return self.home / "tmp" / f"root-{self.made}"

    def layer(self, below: Sequence[Digest], steps: Steps, *, keep: bool = False) -> Layer:
        """The layer that ``steps`` make on top of ``below``."""
        where = self.where()
        root = self.snapshots.prepare(below, where)
        self.sandbox.call("histories:perform", {"steps": list(map(list, steps))}, root=root)
        made = self.snapshots.commit(where, keep=keep, epoch=EPOCH)
        if keep:
            self.snapshots.discard(where)
        return made

    def told(self, layer: Layer) -> list[tuple[str, str]]:
        return [(entry.path, entry.kind) for entry in read_entries(io.BytesIO(self.store.read(layer.diff_id)))]


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Bench]]:
    """One bench for each driver."""
    made: dict[str, Bench] = {}
    machine = probe(tmp_path_factory.mktemp("probe"))
    for name, driver in (("overlay", OverlaySnapshots), ("copy", CopySnapshots)):
        home = tmp_path_factory.mktemp(name)
        sandbox, store = Sandbox(machine, home), Store(home)
        form = {"privileged": machine.root, "one_id": machine.single_id}
        made[name] = Bench(driver(store, sandbox.call, **form), store, sandbox, home)
    if machine.snapshotter != "overlay":
        del made["overlay"]
    yield made
    for bench in made.values():
        bench.sandbox.close()
        bench.store.close()


@pytest.fixture(params=["overlay", "copy"])
def bench(request: pytest.FixtureRequest, benches: dict[str, Bench]) -> Bench:
    if request.param not in benches:
        pytest.skip("no overlayfs here")
    return benches[request.param]


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([("write", "new", 1)], [("new", "file")]),
        ([("remove", "d")], [("d", "whiteout")]),
        ([("remove", "d/e/c")], [("d", "directory"), ("d/e", "directory"), ("d/e/c", "whiteout")]),
        ([("remove", "a"), ("mkdir", "a"), ("write", "a/f", 1)], [("a", "directory"), ("a/f", "file")]),
        ([("remove", "gone"), ("write", "gone", 2)], [("gone", "file")]),
        (
            [("remove", "d"), ("mkdir", "d"), ("write", "d/b", 300)],
            [("d", "directory"), ("d", "opaque"), ("d/b", "file")],
        ),
        ([("append", "a", 1)], [("a", "file")]),
        ([("link", "a", "third")], [("a", "file"), ("third", "hard link")]),
        ([("xattr", "a", 2)], [("a", "file")]),
        ([("quietly", "d/b", 9)], [("d", "directory"), ("d/b", "file")]),
        ([("write", "t", 1), ("remove", "t")], []),
    ],
)
def test_a_change_is_told_as_layers_tell_it(bench: Bench, steps: Steps, told: list[tuple[str, str]]) -> None:
    """Whiteouts, opaque directories, replaced kinds, links across the change, attributes, quiet rewrites."""
    base = bench.layer([], BASE)
    found = bench.told(bench.layer([base.diff_id], steps))
    assert found == told


def test_what_a_container_writes_stays_its_own(bench: Bench) -> None:
    """Neither the image nor a second container sees what one wrote into a file of the image."""
    base = bench.layer([], BASE)
    first, second = bench.where(), bench.where()
    root = bench.snapshots.prepare([base.diff_id], first)
    bench.snapshots.prepare([base.diff_id], second)
    bench.sandbox.call("histories:perform", {"steps": [["append", "a", 5], ["append", "d/b", 5]]}, root=root)
    assert bench.snapshots.union([base.diff_id], second).read("a") == b"K" * 10
    assert bench.snapshots.union([base.diff_id], first).read("a") == b"K" * 10 + b"+" * 5
    assert (bench.snapshots.diff_path(base.diff_id) / "a").read_bytes() == b"K" * 10
    assert bench.told(bench.snapshots.commit(second, epoch=EPOCH)) == []
    bench.snapshots.discard(first)
    assert not first.exists()


def test_a_root_can_be_committed_and_used_on(bench: Bench) -> None:
    """With ``keep`` the layer is made and the root stays as it is; its size counts what changed."""
    base = bench.layer([], BASE)
    where = bench.where()
    root = bench.snapshots.prepare([base.diff_id], where)
    bench.sandbox.call("histories:perform", {"steps": [["write", "new", 77]]}, root=root)
    one = bench.snapshots.commit(where, keep=True, epoch=EPOCH)
    again = bench.snapshots.reopen([base.diff_id], where)
    bench.sandbox.call("histories:perform", {"steps": [["write", "more", 23]]}, root=again)
    assert (one.content_bytes, bench.snapshots.size(where)) == (77, 100)
    bench.snapshots.ensure([LayerSource(one.descriptor, one.diff_id)])
    assert (bench.snapshots.diff_path(one.diff_id) / "new").stat().st_size == 77


def test_a_kept_worker_makes_layer_after_layer(benches: dict[str, Bench]) -> None:
    """Both drivers leave their work to one that stays, and the layers are the same as those of workers of their own."""
    for driver, module in (("overlay", "work"), ("copy", "copy_work")):
        if driver not in benches:
            continue
        bench = benches[driver]
        assert bench.sandbox.call("histories:loaded", {}) == []
        alone = [bench.layer([], BASE).diff_id]
        alone.append(bench.layer(alone, [("remove", "d"), ("write", "new", 5)]).diff_id)
        with bench.sandbox.keeping():
            kept = [bench.layer([], BASE).diff_id]
            assert f"minirt.snapshots.{module}" in bench.sandbox.call("histories:loaded", {}, again=True)
            kept.append(bench.layer(kept, [("remove", "d"), ("write", "new", 5)]).diff_id)
        assert kept == alone


def test_trees_of_images_share_their_files(benches: dict[str, Bench]) -> None:
    """Two chains with a common layer hold one inode of each of its files, and removing the layer removes both."""
    bench = benches["copy"]
    base = bench.layer([], BASE)
    above = bench.layer([base.diff_id], [("write", "new", 3)])
    one = Path(bench.snapshots.view([base.diff_id]).path)
    two = Path(bench.snapshots.view([base.diff_id, above.diff_id]).path)
    assert (one / "d/b").stat().st_ino == (two / "d/b").stat().st_ino
    assert (two / "holes").stat().st_blocks * 512 < (two / "holes").stat().st_size
    bench.snapshots.discard(bench.snapshots.diff_path(base.diff_id).parent)
    assert not one.exists()
    assert not two.exists()


_PATHS = st.sampled_from(["a", "a2", "l", "d", "d/b", "d/e", "d/e/c", "gone", "gone/x", "empty", "new", "d/n", "n/m"])
_NUMBERS = st.integers(1, 400)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["write", "append", "quietly", "sparse", "xattr"]), _PATHS, _NUMBERS),
        st.tuples(st.sampled_from(["mkdir", "remove", "remove", "fifo"]), _PATHS),
        st.tuples(st.sampled_from(["symlink", "link", "move"]), _PATHS, _PATHS),
        st.tuples(st.just("mode"), _PATHS, st.sampled_from([0o755, 0o644, 0o700, 0o4711])),
        st.tuples(st.just("owner"), _PATHS, st.sampled_from([1, 1000])),
        st.tuples(st.just("age"), _PATHS, st.integers(1, 99)),
    ),
    max_size=14,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=_STEPS, second=_STEPS)
def test_any_history_gives_the_same_bytes(benches: dict[str, Bench], first: Steps, second: Steps) -> None:
    """Both drivers make the same layers of the same history, whatever it is, one upon another."""
    if "overlay" not in benches:
        pytest.skip("no overlayfs here")
    layers: dict[str, list[Digest]] = {}
    told: dict[str, list[Any]] = {}
    for name, bench in benches.items():
        below = [bench.layer([], BASE).diff_id]
        for number, steps in enumerate((first, second), 1):
            # An attribute set to what it is already is a copy-up for overlayfs, and nothing at all for ext4.
            own = [(*step[:2], step[2] + 100 * number) if step[0] == "xattr" else step for step in steps]
            made = bench.layer(below, own)
            told.setdefault(name, []).append(bench.told(made))
            below.append(made.diff_id)
        layers[name] = below
    assert told["overlay"] == told["copy"]
    assert layers["overlay"] == layers["copy"]
