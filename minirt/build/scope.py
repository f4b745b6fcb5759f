"""The variables of a build: ARG, its defaults, what the build provides, and where each is seen.

Source: Dockerfile reference, "ARG", and BuildKit's ``dispatchArg`` and ``defaultArgs`` where the two differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from minirt.build.state import StageState
from minirt.dockerfile import Arg, Dockerfile
from minirt.dockerfile.expansion import expand
from minirt.model.platform import Platform

__all__ = ["PROXIES", "Scope", "make_scope"]

PROXIES = (
    "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY", "ftp_proxy", "NO_PROXY", "no_proxy",
    "ALL_PROXY", "all_proxy",
)  # fmt: skip
_NOT_IN_THE_ENVIRONMENT = ("BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE")


@dataclass(frozen=True, slots=True)
class Scope:
    """``given``: the values of ``--build-arg``. ``outer``: what FROM lines see, and an ARG without default takes."""

    given: Mapping[str, str]
    outer: Mapping[str, str]
    escape: str = "\\"

    @property
    def proxies(self) -> dict[str, str]:
        """Given proxies reach every RUN without an ARG, in both cases; neither history nor cache see them."""
        given = {name.upper(): value for name, value in sorted(self.given.items()) if name in PROXIES}
        return {name: value for upper, value in given.items() for name in (upper, upper.lower())}

    def declare(self, state: StageState, instruction: Arg) -> StageState:
        """The state after ``ARG``, its history included."""
        shown = []
        for one in instruction.args:
            value = self._value(state, one.name, one.default, instruction)
            if value is not None and one.name not in _NOT_IN_THE_ENVIRONMENT:
                state = state.with_variable(one.name, value)
            state = replace(state, arguments=(*state.arguments, (one.name, value)))
            shown.append(one.name if value is None else f"{one.name}={value}")
        return state.configured(state.config, f"ARG {' '.join(shown)}")

    def _value(self, state: StageState, name: str, default: str | None, instruction: Arg) -> str | None:
        if name in self.given:
            return self.given[name]
        if default is None:
            return self.outer.get(name)
        where = instruction.location
        return expand(default, state.environment, escape=self.escape, where=where).text


def make_scope(dockerfile: Dockerfile, build_args: Mapping[str, str | None], platform: Platform, target: str) -> Scope:
    """The scope of the lines before the first FROM. Raises :class:`DockerfileError` from an ARG's default."""
    given = {name: value for name, value in build_args.items() if value is not None}
    outer = {name: given.get(name, value) for name, value in _provided(platform, target).items()}
    for instruction in dockerfile.meta_args:
        for one in instruction.args:
            if one.name in given:
                outer[one.name] = given[one.name]
            elif one.default is not None:
                where = instruction.location
                outer[one.name] = expand(one.default, outer, escape=dockerfile.escape, where=where).text
    return Scope(given, outer, dockerfile.escape)


def _provided(platform: Platform, target: str) -> dict[str, str]:
    """BuildKit's automatic platform arguments."""
    values = {}
    for prefix, one in (("BUILD", Platform.host()), ("TARGET", platform)):
        values[f"{prefix}PLATFORM"] = str(one)
        values[f"{prefix}OS"] = one.os
        values[f"{prefix}OSVERSION"] = ""
        values[f"{prefix}ARCH"] = one.architecture
        values[f"{prefix}VARIANT"] = one.variant
    return {**values, "TARGETSTAGE": target or "default"}
