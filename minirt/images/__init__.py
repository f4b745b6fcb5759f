"""Images in the store: list, tag, remove, history, save, load, pull, push, and the base image made on the spot."""

from minirt.images.catalog import ImageStore
from minirt.images.image import StoredImage

__all__ = ["ImageStore", "StoredImage"]
