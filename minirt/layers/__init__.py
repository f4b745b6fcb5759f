"""Layers: a tree's changes as a tar, and a tar's changes onto a tree (OCI image-spec, layer.md).

Import from its modules: who needs one of them should not wait for all.
"""
