"""Names of whiteouts in a layer's tar (OCI image-spec, layer.md, "Whiteouts")."""

from __future__ import annotations

from minirt.errors import LayerError

__all__ = ["OPAQUE", "PREFIX", "hidden_name"]

PREFIX = ".wh."
OPAQUE = ".wh..wh..opq"


def hidden_name(name: str) -> str:
    """What the whiteout ``name`` hides. Raises :class:`LayerError` when that could not be a file's name."""
    hidden = name.removeprefix(PREFIX)
    if hidden in ("", ".", ".."):
        raise LayerError(
            f"the layer has a whiteout {name!r}, which hides nothing that could exist below its directory",
            cause="the image is broken, or made to attack whoever unpacks it",
            hint="Do not use this image.",
        )
    return hidden
