"""The store: content-addressed blobs and their names, as a valid OCI image layout on disk."""

from minirt.store.blobs import BlobWriter
from minirt.store.files import atomic_write
from minirt.store.home import Store
from minirt.store.sweep import SweepResult

__all__ = ["BlobWriter", "Store", "SweepResult", "atomic_write"]
