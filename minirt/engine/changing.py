"""``--change`` of commit and import: a few instructions of the Dockerfile's language that only touch the config."""

from __future__ import annotations

from collections.abc import Sequence

from minirt.errors import UsageError
from minirt.model.config import ContainerConfig
from minirt.model.platform import Platform

__all__ = ["changed"]

_ALLOWED = (
    "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
)  # fmt: skip


def changed(config: ContainerConfig, changes: Sequence[str]) -> ContainerConfig:
    """The config after ``changes``, each one instruction. Raises :class:`DockerfileError`, :class:`UsageError`."""
    if not changes:
        return config
    from minirt.build.config_steps import apply_config
    from minirt.build.state import StageState
    from minirt.dockerfile import parse
    from minirt.dockerfile.substitution import expand_instruction

    state = StageState(Platform.host(), config, environment=config.environment())
    for change in changes:
        for instruction in parse(f"FROM scratch\n{change}\n", "--change").instructions()[1:]:
            if instruction.keyword not in _ALLOWED:
                raise UsageError(
                    f"{instruction.keyword.lower()} is not a valid change command",
                    hint=f"One of: {', '.join(_ALLOWED)}.",
                )
            state = apply_config(state, expand_instruction(instruction, state.environment).instruction)
    return state.config
