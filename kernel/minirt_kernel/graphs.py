"""``%graph``: pictures of what lies in the store, and of the last build again."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from minirt.errors import UsageError
from minirt.model.cancel import Cancel
from minirt_kernel.expansion import expand
from minirt_kernel.feed import Feed
from minirt_kernel.words import parse_words
from minirt_kernel.work import perform

if TYPE_CHECKING:
    from minirt.views import FileLayer, Graph, ImageStack, LayerBox
    from minirt_kernel.runtime import Runtime

__all__ = ["KINDS", "show"]

KINDS = {
    "layers": "images as stacks of layers, with shared layers shared: %graph layers [IMAGE…]",
    "files": "which layer each path comes from, and what whiteouts hide: %graph files IMAGE",
    "storage": "image layers, each container's own thin layer, and volumes, live: %graph storage",
    "volumes": "volumes, their bytes, and who has them where, live: %graph volumes",
    "networks": "networks, who is on them, and published ports, live: %graph networks [NETWORK…]",
    "namespaces": "a running container from inside and outside, live: %graph namespaces CONTAINER",
    "states": "which state containers are in, and which commands lead on, live: %graph states [CONTAINER…]",
    "last": "the last build's final picture: %graph last",
    "stop": "lets the live pictures stand still, or the one of a kind: %graph stop [KIND]",
}
LIVE = ("storage", "volumes", "networks", "namespaces", "states")
"""What goes on moving after its cell: one picture of each kind, the newest."""
BASE = "minirt/base"
"""The image whose content is this machine's own: its sizes and ids differ elsewhere."""


async def show(runtime: Runtime, arguments: str) -> None:
    """Draw what ``arguments`` ask for. Raises :class:`UsageError`, :class:`ImageNotFound`."""
    words = parse_words(arguments)
    kind, *names = expand(words, runtime.shell.user_ns, _no_substitution) or [""]
    if kind == "stop":
        await perform(lambda _feed, _cancel: _stop(runtime, names), runtime.presenter)
        return
    source = partial(_graph_of(kind), runtime, names)
    graph = await perform(lambda _feed, _cancel: source(), runtime.presenter)
    moves = kind in LIVE and runtime.settings.live and runtime.page.moves
    display_id = f"minirt-{uuid.uuid4().hex}"
    runtime.page.show(await perform(_drawing(graph, moves), runtime.presenter), display_id, update=False)
    if moves:
        if kind == "states":
            source = partial(_states, runtime, names, removed_too=True)  # they were there just now
        await perform(lambda _feed, _cancel: runtime.live.add(kind, display_id, source, graph), runtime.presenter)


def _stop(runtime: Runtime, names: list[str]) -> None:
    wrong = [name for name in names if name not in LIVE]
    if wrong:
        raise UsageError(f"{wrong[0]} is no live picture", hint=f"Live are: {', '.join(LIVE)}.")
    for kind in names or LIVE:
        runtime.live.stop(kind)


def _drawing(graph: Graph, moves: bool) -> Callable[[Feed, Cancel], dict[str, Any]]:
    from minirt_kernel.live import moving
    from minirt_kernel.presenter import draw

    return lambda _feed, _cancel: draw(moving(graph) if moves else graph, final=True)


def _graph_of(kind: str) -> Callable[[Runtime, list[str]], Graph]:
    known = {
        "layers": _layers,
        "files": _files,
        "storage": _storage,
        "volumes": _volumes,
        "networks": _networks,
        "namespaces": _namespaces,
        "states": _states,
        "last": _last,
    }
    if kind not in known:
        import difflib

        near = difflib.get_close_matches(kind, known, 1)
        raise UsageError(
            f"%graph does not know {kind!r}" if kind else "%graph needs to know what to draw",
            hint=f"Did you mean %graph {near[0]}?" if near else _all_kinds(),
        )
    return known[kind]


def _all_kinds() -> str:
    uses = [text.rpartition(": ") for text in KINDS.values()]
    width = max(len(use) for _, _, use in uses)
    return "\n".join(["There are:", *(f"  {use:{width}}  {what}" for what, _, use in uses)])


def _last(runtime: Runtime, _names: list[str]) -> Graph:
    if runtime.last_graph is None:
        raise UsageError("nothing was built yet in this kernel", hint="Build something: a cell that starts with FROM.")
    return runtime.last_graph


def _layers(runtime: Runtime, names: list[str]) -> Graph:
    from minirt.views import layers_graph

    images = [runtime.engine.images.get(name) for name in names] or runtime.engine.images.list()
    local = _local_layers(runtime)
    return layers_graph([_stack(image, local) for image in images], stable=not runtime.settings.live)


def _files(runtime: Runtime, names: list[str]) -> Graph:
    from minirt.views import FileEntry, FileLayer, files_graph

    if len(names) != 1:
        raise UsageError("%graph files needs the name of one image", hint="For example: %graph files hello:1")
    image = runtime.engine.images.get(names[0])
    local = _local_layers(runtime)
    layers: list[FileLayer] = []
    for layer in image.layers:
        entries = tuple(
            FileEntry(entry.path, entry.kind, entry.size, entry.whiteout, entry.opaque)
            for entry in image.entries(layer)
        )
        layers.append(FileLayer(_box(layer, local), entries))
    return files_graph(_name(image), layers, stable=not runtime.settings.live)


def _storage(runtime: Runtime, _names: list[str]) -> Graph:
    from minirt.engine.looks import stored_containers, stored_volumes
    from minirt.views.storage_view import storage_graph

    local = frozenset(_local_layers(runtime))
    containers = stored_containers(runtime.engine, local)
    return storage_graph(containers, stored_volumes(runtime.engine), stable=not runtime.settings.live)


def _volumes(runtime: Runtime, _names: list[str]) -> Graph:
    from minirt.engine.looks import stored_volumes
    from minirt.views.storage_view import volumes_graph

    return volumes_graph(stored_volumes(runtime.engine))


def _networks(runtime: Runtime, names: list[str]) -> Graph:
    from minirt.engine.network_looks import networked
    from minirt.views.networks_view import networks_graph

    return networks_graph(*networked(runtime.engine, names), stable=not runtime.settings.live)


def _namespaces(runtime: Runtime, names: list[str]) -> Graph:
    from minirt.engine.looks import namespaces_of
    from minirt.errors import ContainerNotRunning
    from minirt.views.namespaces_view import gone_graph, namespaces_graph

    if len(names) != 1:
        raise UsageError("%graph namespaces needs one running container", hint="For example: %graph namespaces web")
    container = runtime.engine.containers.get(names[0])
    try:
        namespaces, processes, maps = namespaces_of(runtime.engine, container.id)
    except ContainerNotRunning:
        return gone_graph(container.name, container.status)
    return namespaces_graph(container.name, namespaces, processes, maps, stable=not runtime.settings.live)


def _states(runtime: Runtime, names: list[str], *, removed_too: bool = False) -> Graph:
    from minirt.engine.looks import stated_containers
    from minirt.views.states_view import states_graph

    return states_graph(stated_containers(runtime.engine, names, removed_too=removed_too))


def _stack(image: Any, local: set[str]) -> ImageStack:
    from minirt.views import ImageStack

    config = tuple(row.created_by for row in reversed(image.history()) if row.layer is None)
    return ImageStack(_name(image), image.id, tuple(_box(layer, local) for layer in image.layers), config)


def _box(layer: Any, local: set[str]) -> LayerBox:
    from minirt.views import LayerBox

    diff_id = str(layer.diff_id)
    return LayerBox(diff_id, layer.content, layer.created_by, diff_id in local)


def _name(image: Any) -> str:
    return ", ".join(image.tags) or image.short_id


def _local_layers(runtime: Runtime) -> set[str]:
    from minirt.errors import ImageNotFound

    try:
        return {str(layer.diff_id) for layer in runtime.engine.images.get(BASE).layers}
    except ImageNotFound:
        return set()


def _no_substitution(_words: object) -> str:
    raise UsageError("%graph takes names of images; $( ) is for docker lines")
