"""A client of the distribution API (OCI distribution-spec): manifests and blobs, pulled anonymously."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minirt.errors import Cancelled, CorruptBlob, InvalidDocument, MinirtError, Unsupported
from minirt.model.cancel import Cancel
from minirt.model.digest import Digest
from minirt.model.manifest import DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST, Descriptor
from minirt.model.reference import Reference
from minirt.registry.auth import Tokens
from minirt.registry.download import Download
from minirt.registry.hosts import Endpoint, endpoints
from minirt.registry.transport import Patience, Transport, read_all
from minirt.registry.trouble import answered, joined

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

__all__ = ["RegistryClient"]

_DOCUMENT = 4 * 1024 * 1024  # distribution-spec, "Pushing Manifests": registries need not take larger ones
_DOCUMENTS = (MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX)
_ACCEPT = ", ".join(_DOCUMENTS)
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"


class RegistryClient:
    """Asks registries for images. Thread-safe; keeps connections and tokens for its lifetime.

    ``mirrors`` are base addresses tried in order before Docker Hub; ``insecure`` are registries (``host:port``) spoken
    to over http or with an unchecked certificate, as Docker's ``insecure-registries``. ``proxies``: see
    :class:`Transport`.
    """

    def __init__(
        self,
        mirrors: Sequence[str] = (),
        insecure: Sequence[str] = (),
        *,
        patience: Patience | None = None,
        proxies: Mapping[str, str] | None = None,
        agent: str = "minirt",
    ) -> None:
        self.patience = patience or Patience()
        self._mirrors = tuple(mirrors)
        self._insecure = tuple(insecure)
        self._transport = Transport(self.patience, proxies, agent)
        self._tokens = Tokens()
        self._lock = threading.Lock()
        self._answering: dict[str, Endpoint] = {}

    def manifest(self, ref: Reference, *, cancel: Cancel | None = None) -> tuple[Descriptor, bytes]:
        """The document under ``ref``'s digest, or else its tag: a manifest, or an index of several platforms.

        Its digest is checked against ``ref.digest``, or else against the one in the registry's answer. Raises
        :class:`ImageNotFound`, :class:`RegistryDenied`, :class:`RegistryUnreachable`, :class:`RegistryError`,
        :class:`CorruptBlob`, :class:`Unsupported` (a document of before 2016), :class:`Cancelled`.
        """

        def ask(place: Endpoint) -> tuple[Descriptor, bytes]:
            wanted = str(ref.digest) if ref.digest is not None else ref.tag
            path = f"{ref.repository}/manifests/{wanted}"
            response = self.call(ref, place, "GET", path, headers={"Accept": _ACCEPT}, cancel=cancel)
            body = read_all(response, place.url(path), _DOCUMENT)
            return _describe(ref, place, response.headers, body), body

        return self._first(ref, ask)

    def document(self, ref: Reference, descriptor: Descriptor, *, cancel: Cancel | None = None) -> bytes:
        """A small blob (an image's config) as a whole, digest and size checked. Raises as :meth:`manifest`."""
        if descriptor.size > _DOCUMENT:
            raise InvalidDocument(f"the config of {ref.familiar} has {descriptor.size} bytes; {_DOCUMENT} are allowed")
        for start in range(2):
            data = b"".join(self.blob(ref, descriptor, cancel=cancel, start=start))
            if _has(data, descriptor.digest):
                return data
        raise CorruptBlob(
            f"the registry sent other bytes than {descriptor.digest}",
            cause=f"what came for {ref.familiar} has the digest {Digest.of(data)}",
        )

    def blob(self, ref: Reference, descriptor: Descriptor, *, cancel: Cancel | None = None, start: int = 0) -> Download:
        """An iterator over the bytes of a blob of ``ref``'s repository; resumes where a connection broke.

        The places are the one that gave the manifest and then the others; ``start`` skips so many of them (after one
        sent wrong bytes) and begins again at the front when none is left.
        """
        places = self._places(ref)
        turn = start % len(places)
        return Download(
            descriptor,
            (*places[turn:], *places[:turn]),
            lambda place, offset: self._open_blob(ref, place, descriptor, offset, cancel),
            self.patience,
            cancel,
        )

    def call(
        self,
        ref: Reference,
        place: Endpoint,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        actions: str = "pull",
        cancel: Cancel | None = None,
    ) -> BaseHTTPResponse:
        """One request below ``/v2/`` of ``place`` (or to a whole address), with a token if one is asked for.

        The answer's body is unread. Errors of the registry are raised as those of :meth:`manifest`.
        """
        url = path if "://" in path else place.url(path)
        scope = f"repository:{ref.repository}:{actions}"
        for attempt in range(2):
            response = self._transport.request(
                method,
                url,
                headers=headers,
                authorization=self._tokens.header(place.base, scope),
                body=body,
                verify=place.verify,
                cancel=cancel,
            )
            if response.status != 401 or attempt == 1:
                break
            challenge = response.headers.get("WWW-Authenticate", "")
            failure = read_all(response, url, _DOCUMENT)
            if not self._get_token(ref, place, scope, challenge, cancel):
                raise answered(401, failure, place, ref)
        if response.status >= 400:
            self._tokens.forget(place.base, scope)
            raise answered(response.status, read_all(response, url, _DOCUMENT), place, ref)
        return response

    def own_places(self, ref: Reference) -> tuple[Endpoint, ...]:
        """The registry itself and no mirror: where pushes go. Two if http and https are both thinkable."""
        with self._lock:
            known = self._answering.get(ref.name)
        places = tuple(place for place in self._places(ref) if not place.mirror)
        return (known,) if known in places and known is not None else places

    def answering(self, ref: Reference, place: Endpoint) -> None:
        """Remember that ``place`` answers for ``ref``'s repository, so that it is asked first from now on."""
        with self._lock:
            self._answering[ref.name] = place

    def _places(self, ref: Reference) -> tuple[Endpoint, ...]:
        places = endpoints(ref.registry, self._mirrors, self._insecure)
        with self._lock:
            first = self._answering.get(ref.name)
        return (first, *(place for place in places if place != first)) if first in places and first else places

    def _first(self, ref: Reference, ask: Callable[[Endpoint], tuple[Descriptor, bytes]]) -> tuple[Descriptor, bytes]:
        """What the first place that can answer says. Always in the configured order: a tag may move."""
        failures: list[tuple[Endpoint, MinirtError]] = []
        for place in endpoints(ref.registry, self._mirrors, self._insecure):
            try:
                found = ask(place)
            except Cancelled:
                raise
            except MinirtError as error:
                failures.append((place, error))
            else:
                self.answering(ref, place)
                return found
        raise joined(failures)

    def _open_blob(
        self, ref: Reference, place: Endpoint, descriptor: Descriptor, offset: int, cancel: Cancel | None
    ) -> BaseHTTPResponse:
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        return self.call(
            ref, place, "GET", f"{ref.repository}/blobs/{descriptor.digest}", headers=headers, cancel=cancel
        )

    def _get_token(self, ref: Reference, place: Endpoint, scope: str, challenge: str, cancel: Cancel | None) -> bool:
        def fetch(url: str) -> bytes:
            status, body = self._transport.fetch(url, limit=_DOCUMENT, cancel=cancel, verify=place.verify)
            if status >= 400:
                # Docker Hub's token service refuses what it would never show; say it as the registry would.
                raise answered(401 if status in (400, 401, 403, 404) else status, body, place, ref)
            return body

        return self._tokens.answer(place.base, scope, challenge, fetch)


def _describe(ref: Reference, place: Endpoint, headers: Mapping[str, str], body: bytes) -> Descriptor:
    """The descriptor of a document that came, once its digest is known to be right."""
    announced = ref.digest
    if announced is None and headers.get("Docker-Content-Digest"):
        announced = Digest.parse(headers["Docker-Content-Digest"])
    if announced is not None and not _has(body, announced):
        raise CorruptBlob(
            f"{place.host} sent another document than {announced}",
            cause=f"what came for {ref.familiar} has the digest {Digest.of(body)}",
            hint="Something between changes what the registry sends; nothing of it was kept.",
        )
    media_type = headers.get("Content-Type", "").partition(";")[0].strip()
    media_type = media_type if media_type in _DOCUMENTS else _own_media_type(body)
    if media_type.startswith(_SCHEMA_1):
        raise Unsupported(
            f"{ref.familiar} is in the image format of before 2016 (schema 1)",
            hint="Ask its maintainer for a newer build; no current tool pulls it.",
        )
    if media_type not in _DOCUMENTS:
        raise InvalidDocument(
            f"what {place.host} sent for {ref.familiar} is not an image",
            cause=f"its media type is {media_type or 'unknown'}",
            hint="Is there a registry at that address, and not a login page or a web server?",
        )
    return Descriptor(media_type, announced or Digest.of(body), len(body))


def _own_media_type(body: bytes) -> str:
    """What a document says about itself, for registries that call everything JSON."""
    try:
        data = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(data, dict):
        return ""
    if data.get("schemaVersion") == 1:
        return _SCHEMA_1
    guess = INDEX if "manifests" in data else MANIFEST if "layers" in data else ""
    return str(data.get("mediaType") or guess)


def _has(data: bytes, digest: Digest) -> bool:
    return hashlib.new(digest.algorithm, data).hexdigest() == digest.hex
