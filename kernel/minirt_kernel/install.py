"""Registers the kernel with Jupyter: ``python -m minirt_kernel.install [--sys-prefix | --user | --prefix DIR]``.

The kernelspec names the interpreter that runs this, so the kernel starts from any environment's JupyterLab. In an
editable checkout the labextension is linked into place too, since no wheel has put it there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

__all__ = ["install", "main"]

_KERNEL = "minirt"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m minirt_kernel.install", description="Register the minirt kernel.")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--sys-prefix", action="store_true", help="into this Python environment (the default)")
    place.add_argument("--user", action="store_true", help="for the current user, in every environment")
    place.add_argument("--prefix", metavar="DIR", help="under DIR/share/jupyter")
    parser.add_argument("--quiet", action="store_true", help="say nothing when all goes well")
    options = parser.parse_args(arguments)
    prefix = None if options.user else (options.prefix or sys.prefix)
    try:
        where = install(prefix)
    except OSError as error:
        print(f"The kernel could not be registered: {error}", file=sys.stderr)  # noqa: T201 - a command's own words
        print("Try --user, or --prefix with a directory you may write to.", file=sys.stderr)  # noqa: T201
        return 1
    if not options.quiet:
        print(f"Registered the minirt kernel in {where}")  # noqa: T201
    return 0


def install(prefix: str | None) -> Path:
    """Write the kernelspec below ``prefix`` (None: the user's own directory) and return its directory.

    Raises :class:`OSError` where it may not be written.
    """
    from jupyter_client.kernelspec import KernelSpecManager

    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / _KERNEL
        spec.mkdir()
        for source in sorted(_share().joinpath("kernels", _KERNEL).iterdir()):
            shutil.copy(source, spec)
        document = json.loads((spec / "kernel.json").read_text())
        document["argv"][0] = sys.executable
        (spec / "kernel.json").write_text(json.dumps(document, indent=1) + "\n")
        os.chmod(spec, 0o755)
        where = KernelSpecManager().install_kernel_spec(str(spec), _KERNEL, user=prefix is None, prefix=prefix)
    _link_labextensions(Path(where).parents[1])
    return Path(where)


def _share() -> Path:
    """``share/jupyter`` as shipped: in the checkout beside this package, else where the wheel put its data."""
    checkout = Path(__file__).resolve().parents[1] / "share" / "jupyter"
    return checkout if (checkout / "kernels" / _KERNEL).is_dir() else Path(sys.prefix) / "share" / "jupyter"


def _link_labextensions(jupyter: Path) -> None:
    """Links, so that an edit in the checkout shows after reloading the page."""
    for source in sorted((_share() / "labextensions").glob("*/package.json")):
        target = jupyter / "labextensions" / source.parent.name
        if target.resolve() == source.parent.resolve():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            target.unlink()
        elif target.is_dir():
            shutil.rmtree(target)
        target.symlink_to(source.parent)


if __name__ == "__main__":
    sys.exit(main())
