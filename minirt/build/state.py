"""What a stage has come to after each of its steps: layers, config, history, variables. Values, changed by copying."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from minirt.model.config import ContainerConfig, History, ImageConfig
from minirt.model.platform import Platform
from minirt.snapshots.contract import LayerSource

__all__ = ["DEFAULT_PATH", "StageState", "first_state"]

# What BuildKit adds when the base says nothing (util/system, DefaultPathEnvUnix).
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
COMMENT = "buildkit.dockerfile.v0"
SCRATCH = "scratch"


@dataclass(frozen=True, slots=True)
class StageState:
    """The stage so far.

    ``environment`` is what words expand with and what RUN sees: ENV and ARG together, the later winning, as BuildKit
    keeps it. ``arguments`` are the ARGs declared so far, in order, None without a value: RUN's history names them.
    ``chain`` names the layers so far and nothing else. ``command_set``: this stage itself has a CMD.
    """

    platform: Platform
    config: ContainerConfig = field(default_factory=ContainerConfig)
    history: tuple[History, ...] = ()
    layers: tuple[LayerSource, ...] = ()
    chain: str = SCRATCH
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[tuple[str, str | None], ...] = ()
    author: str = ""
    created: str = ""
    command_set: bool = False
    base_layers: int = 0

    def configured(self, config: ContainerConfig, created_by: str) -> StageState:
        """After an instruction that changed only the config; the time is filled in at the end."""
        entry = History(created_by=created_by, comment=COMMENT, empty_layer=True)
        return replace(self, config=config, history=(*self.history, entry))

    def with_layer(self, layer: LayerSource, created: str, created_by: str) -> StageState:
        """After an instruction that made a layer; ``created`` is RFC 3339."""
        entry = History(created=created, created_by=created_by, comment=COMMENT)
        return replace(
            self,
            layers=(*self.layers, layer),
            chain=next_chain(self.chain, layer),
            history=(*self.history, entry),
        )

    def with_variable(self, name: str, value: str) -> StageState:
        return replace(self, environment={**self.environment, name: value})

    def next_stage(self) -> StageState:
        """The start of a stage that is FROM this one: triggers and the memory of CMD stay behind."""
        config = replace(self.config, on_build=())
        return replace(_with_path(replace(self, config=config)), command_set=False)


def next_chain(chain: str, layer: LayerSource) -> str:
    """As the OCI chain id: it names a layer and everything below it."""
    return hashlib.sha256(f"{chain} {layer.diff_id}".encode()).hexdigest()


def first_state(image: ImageConfig | None, layers: tuple[LayerSource, ...], platform: Platform) -> StageState:
    """The state after FROM an image, or after ``FROM scratch`` with ``image`` None."""
    chain = SCRATCH
    for layer in layers:
        chain = next_chain(chain, layer)
    if image is None:
        return _with_path(StageState(platform, ContainerConfig(working_dir="/")))
    state = StageState(
        image.platform,
        replace(image.config, on_build=()),
        image.history,
        layers,
        chain,
        author=image.author,
        created=image.created,
        base_layers=len(layers),
    )
    return _with_path(state)


def _with_path(state: StageState) -> StageState:
    config = state.config
    if "PATH" not in config.environment():
        config = replace(config, env=(*config.env, f"PATH={DEFAULT_PATH}"))
    return replace(state, config=config, environment={**state.environment, **config.environment()})
