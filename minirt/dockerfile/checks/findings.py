"""What a check found, and what a Dockerfile asks of the checks with ``# check=…``."""

from __future__ import annotations

from dataclasses import dataclass

from minirt.dockerfile.checks.rules import RULES
from minirt.dockerfile.document import Dockerfile
from minirt.dockerfile.values import parse_bool
from minirt.errors import DockerfileError, Location

__all__ = ["CheckOptions", "Finding", "check_options"]

_ALL = frozenset(("all",))


@dataclass(frozen=True, slots=True)
class Finding:
    """``step`` is the step's id in a build's events (empty for none); ``better`` are the better lines, or nothing."""

    name: str
    message: str
    location: Location
    step: str = ""
    better: str = ""

    @property
    def why(self) -> str:
        return RULES[self.name].why

    @property
    def url(self) -> str:
        """The page at docker's; empty for minirt's own checks."""
        return RULES[self.name].url

    @property
    def ours(self) -> bool:
        return RULES[self.name].ours

    def explain(self) -> str:
        """The whole finding as plain text, as ``docker build --check`` shows it."""
        mark = " (a check of minirt's own)" if self.ours else f" - {self.url}"
        lines = [f"WARNING: {self.name}{mark}", self.message, self.location.draw(), f"Why: {self.why}"]
        if self.better:
            lines += ["Better:", *(f"    {line}" for line in self.better.split("\n"))]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """``error``: findings fail the build. ``skip`` and ``experimental`` are names of checks, or ``all``."""

    skip: frozenset[str] = frozenset()
    error: bool = False
    experimental: frozenset[str] = frozenset()

    def runs(self, name: str) -> bool:
        """Whether the check of that name runs at all."""
        if self.skip & {"all", name}:
            return False
        return not RULES[name].experimental or bool(self.experimental & {"all", name})


def check_options(dockerfile: Dockerfile, override: str | None = None) -> CheckOptions:
    """Those of ``# check=skip=A,B;error=true;experimental=all``, or in their place ``override`` in the same form.

    As in BuildKit, a directive ends at its first space, and ``all`` counts only alone. Raises DockerfileError.
    Source: Dockerfile reference, "check"; moby/buildkit, frontend/dockerfile/linter.
    """
    directive = dockerfile.directives.get("check")
    text = override.strip() if override is not None else directive.value.split(" ")[0] if directive else ""
    where = directive.location if directive else Location("check", 1, 1, max(1, len(text)), text)
    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error = False
    for part in text.split(";") if text else ():
        key, equals, value = (piece.strip() for piece in part.partition("="))
        names = frozenset(name.strip() for name in value.split(",")) - (_ALL if value != "all" else frozenset())
        if equals and key == "skip":
            skip = names
        elif equals and key == "experimental":
            experimental = names
        elif equals and key == "error":
            try:
                error = parse_bool(value)
            except ValueError:
                raise DockerfileError(
                    f"failed to parse check option {part!r}", where=where, hint="error=true"
                ) from None
        else:
            hint = "Write # check=skip=NAME,NAME;error=true without any space."
            raise DockerfileError(f"invalid check option {part!r}", where=where, hint=hint)
    return CheckOptions(skip, error, experimental)
