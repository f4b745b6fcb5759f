"""Layers: a tree's changes as a tar, and a tar's changes onto a tree (OCI image-spec, layer.md)."""

from minirt.layers.apply import ApplyResult, apply
from minirt.layers.changes import Change, Opaque, Present, Whiteout, changes
from minirt.layers.entries import LayerEntry, read_entries
from minirt.layers.pack import PackResult, WhiteoutRecord, pack
from minirt.layers.streams import HashingReader, decompress
from minirt.layers.styles import (
    OverlayTrusted,
    OverlayUser,
    Owners,
    Plain,
    RealOwners,
    SideOwners,
    WhiteoutStyle,
    owners_named,
    style_named,
)

__all__ = [
    "ApplyResult",
    "Change",
    "HashingReader",
    "LayerEntry",
    "Opaque",
    "OverlayTrusted",
    "OverlayUser",
    "Owners",
    "PackResult",
    "Plain",
    "Present",
    "RealOwners",
    "SideOwners",
    "Whiteout",
    "WhiteoutRecord",
    "WhiteoutStyle",
    "apply",
    "changes",
    "decompress",
    "owners_named",
    "pack",
    "read_entries",
    "style_named",
]
