"""minirt: a small, real container runtime that a learner can look inside.

Start with :func:`minirt.from_env`, which gives the same engine as the command line and the notebooks::

    import minirt
    engine = minirt.from_env()
    engine.images.build(path=".", tag="hello:1")
    print(engine.containers.run("hello:1", ["ls", "/"], remove=True).decode())
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["Engine", "__version__", "from_env"]


def __getattr__(name: str) -> Any:
    # The engine pulls in every room; `import minirt` alone must stay cheap.
    if name == "Engine":
        from minirt.engine import Engine

        return Engine
    if name == "from_env":
        # By name: the package itself stands below its rooms, and the command line is the topmost of them.
        from importlib import import_module

        return import_module("minirt.cli.terminal").make_engine
    raise AttributeError(f"module 'minirt' has no attribute {name!r}")
