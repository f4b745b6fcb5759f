"""Sending blobs and manifests to a registry (distribution-spec, "Push")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import urlencode, urljoin

from minirt.errors import Cancelled, CorruptBlob, ImageNotFound, MinirtError, RegistryError
from minirt.model.cancel import Cancel
from minirt.model.digest import Digest
from minirt.model.manifest import Descriptor
from minirt.model.reference import Reference
from minirt.registry.client import RegistryClient
from minirt.registry.hosts import Endpoint

__all__ = ["push_blob", "push_manifest"]

_CHUNK = 1 << 20
_ACTIONS = "pull,push"


def push_blob(
    registry: RegistryClient, ref: Reference, descriptor: Descriptor, data: BinaryIO, *, cancel: Cancel | None = None
) -> bool:
    """Send ``data`` as a blob of ``ref``'s repository; False if the registry has it already.

    Raises :class:`RegistryError` and its kinds, :class:`CorruptBlob` if the registry got other bytes.
    """
    place = _place(registry, ref, cancel)
    if _has(registry, place, ref, descriptor, cancel):
        return False
    begun = registry.call(
        ref, place, "POST", f"{ref.repository}/blobs/uploads/", body=b"", actions=_ACTIONS, cancel=cancel
    )
    location = begun.headers.get("Location")
    begun.drain_conn()
    begun.release_conn()
    if not location:
        raise RegistryError(f"{place.host} began no upload", cause="its answer has no Location")
    url = urljoin(place.url(f"{ref.repository}/blobs/uploads/"), location)
    url += ("&" if "?" in url else "?") + urlencode({"digest": str(descriptor.digest)})
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(descriptor.size)}
    done = registry.call(
        ref, place, "PUT", url, headers=headers, body=_pieces(data, cancel), actions=_ACTIONS, cancel=cancel
    )
    done.drain_conn()
    done.release_conn()
    return True


def push_manifest(
    registry: RegistryClient,
    ref: Reference,
    media_type: str,
    raw: bytes,
    *,
    cancel: Cancel | None = None,
    by_digest: bool = False,
) -> None:
    """Send a manifest whose blobs are all there, under ``ref``'s tag, or under its own digest alone."""
    place = _place(registry, ref, cancel)
    path = f"{ref.repository}/manifests/{Digest.of(raw) if by_digest else ref.tag}"
    done = registry.call(
        ref, place, "PUT", path, headers={"Content-Type": media_type}, body=raw, actions=_ACTIONS, cancel=cancel
    )
    said = done.headers.get("Docker-Content-Digest")
    done.drain_conn()
    done.release_conn()
    if said and said != str(Digest.of(raw)):
        raise CorruptBlob(f"{place.host} stored another manifest than was sent", cause=f"it answered {said}")


def _has(
    registry: RegistryClient, place: Endpoint, ref: Reference, descriptor: Descriptor, cancel: Cancel | None
) -> bool:
    path = f"{ref.repository}/blobs/{descriptor.digest}"
    try:
        response = registry.call(ref, place, "HEAD", path, actions=_ACTIONS, cancel=cancel)
    except ImageNotFound:
        return False  # the specification's 404 has no body to a HEAD
    response.release_conn()
    return True


def _place(registry: RegistryClient, ref: Reference, cancel: Cancel | None) -> Endpoint:
    """Where to push: never a mirror. Of http and https on this machine, the one that answers."""
    places = registry.own_places(ref)
    for place in places[:-1]:
        try:
            registry.call(ref, place, "GET", "", actions=_ACTIONS, cancel=cancel).drain_conn()
        except Cancelled:
            raise
        except MinirtError:
            continue
        registry.answering(ref, place)
        return place
    return places[-1]


def _pieces(data: BinaryIO, cancel: Cancel | None) -> Iterator[bytes]:
    while chunk := data.read(_CHUNK):
        if cancel is not None:
            cancel.check()
        yield chunk
