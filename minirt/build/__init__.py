"""From a Dockerfile to an image: the plan, the cache, the steps.

Names are loaded when they are asked for: the sandbox's worker imports single modules of this room and must start fast.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minirt.build.builder import Builder, BuildResult
    from minirt.build.cache import BuildCache
    from minirt.build.plan import Plan, make_plan
    from minirt.build.request import BuildRequest, ResolvedImage

__all__ = ["BuildCache", "BuildRequest", "BuildResult", "Builder", "Plan", "ResolvedImage", "make_plan"]

_HOMES = {
    "BuildCache": "cache",
    "BuildRequest": "request",
    "BuildResult": "builder",
    "Builder": "builder",
    "Plan": "plan",
    "ResolvedImage": "request",
    "make_plan": "plan",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"minirt.build.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'minirt.build' has no attribute {name!r}")
