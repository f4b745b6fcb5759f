"""The facade over all rooms, in docker-py's shape, and the only place where they are put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minirt.dockerfile.help import InstructionHelp
    from minirt.engine.facade import Engine

__all__ = ["Engine", "dockerfile_help", "dockerfile_keywords", "dockerfile_parts"]


def dockerfile_help(keyword: str) -> InstructionHelp | None:
    """What a Dockerfile instruction does: syntax, summary, example, flags; None when there is no such instruction."""
    from minirt.dockerfile.help import reference

    return reference(keyword)


def dockerfile_keywords() -> tuple[str, ...]:
    """All instructions, in the order in which the reference explains them."""
    from minirt.dockerfile.help import keywords

    return keywords()


def dockerfile_parts(text: str, source: str = "Dockerfile") -> tuple[str, ...]:
    """A Dockerfile's instructions as text, one each. Raises :class:`DockerfileError`."""
    from minirt.dockerfile.parts import instruction_texts

    return instruction_texts(text, source)


def __getattr__(name: str) -> Any:
    # Completion asks for the help above at every key press; only who wants an engine pays for its rooms.
    if name == "Engine":
        try:
            import minirt.store  # noqa: F401 - first, so that what Windows lacks is told by its own name
            from minirt.engine.facade import Engine
        except ModuleNotFoundError as error:
            from minirt.linux.required import needs_linux

            if error.name != "fcntl":
                raise
            raise needs_linux("minirt's store needs") from error  # Windows: no locks as the store's

        return Engine
    raise AttributeError(f"module 'minirt.engine' has no attribute {name!r}")
