"""A small registry over a directory, for tests and for the classroom (OCI distribution-spec 1.1: pull, push, list).

It has no users and no TLS: it listens on this machine unless told otherwise.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO, Self
from urllib.parse import parse_qs, urlsplit

from minirt.errors import MinirtError
from minirt.registry.shelf import Shelf

__all__ = ["ReadOnlyHandler", "RegistryHandler", "RegistryServer"]

_MANIFEST_LIMIT = 4 * 1024 * 1024
_CHUNK = 256 * 1024
_ROUTES = (
    ("root", re.compile(r"/v2/?")),
    ("catalog", re.compile(r"/v2/_catalog")),
    ("tags", re.compile(r"/v2/(?P<name>.+)/tags/list")),
    ("manifest", re.compile(r"/v2/(?P<name>.+)/manifests/(?P<reference>[^/]+)")),
    ("uploads", re.compile(r"/v2/(?P<name>.+)/blobs/uploads/?")),
    ("upload", re.compile(r"/v2/(?P<name>.+)/blobs/uploads/(?P<upload>[^/]+)")),
    ("blob", re.compile(r"/v2/(?P<name>.+)/blobs/(?P<digest>[^/]+)")),
)


class RegistryServer:
    """A registry at ``address`` (``host:port``), serving ``root`` from a thread until closed.

    ``port`` 0 takes a free one. Use it as a context manager, or call :meth:`start` and :meth:`close`.
    """

    def __init__(
        self, root: Path, host: str = "127.0.0.1", port: int = 0, handler: type[RegistryHandler] | None = None
    ) -> None:
        self.shelf = Shelf(root)
        kind = type("Handler", (handler or RegistryHandler,), {"shelf": self.shelf})
        self._server = _Server((host, port), kind)
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """What stands before the first / of an image's name: ``127.0.0.1:41234``."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def start(self) -> None:
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="minirt-registry", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is not worth a traceback on somebody's screen; anything else is."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class RegistryHandler(BaseHTTPRequestHandler):
    """One connection. Each request goes to the method named after its verb and its route, such as ``get_blob``."""

    shelf: Shelf
    protocol_version = "HTTP/1.1"
    server_version = "minirt-registry"

    def answer(self) -> None:
        """Find and run the request's method; errors become the specification's JSON."""
        path = urlsplit(self.path).path
        verb = "get" if self.command == "HEAD" else self.command.lower()
        for name, shape in _ROUTES:
            match = shape.fullmatch(path)
            if match:
                method = getattr(self, f"{verb}_{name}", None)
                if method is None:
                    self.close_connection = True  # the request's body may be unread
                    self.refuse(405, "UNSUPPORTED", "this registry does not do that")
                    return
                try:
                    method(**match.groupdict())
                except MinirtError as error:
                    self.close_connection = True  # the request's body may be unread
                    self.refuse(400, _CODES.get(type(error).__name__, "UNSUPPORTED"), error.what)
                return
        self.refuse(404, "NAME_UNKNOWN", "there is nothing at this address")

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 (the names http.server looks for)

    # --- pull ---

    def get_root(self) -> None:
        self.reply(200, b"{}", {"Content-Type": "application/json"})

    def get_blob(self, name: str, digest: str) -> None:
        path = self.shelf.blob(digest)
        if path is None:
            self.refuse(404, "BLOB_UNKNOWN", f"blob unknown to registry: {digest}")
            return
        with path.open("rb") as data:
            self.send_blob(data, path.stat().st_size, digest)

    def send_blob(self, data: BinaryIO, size: int, digest: str) -> None:
        """Answer with a blob, or with the part from ``Range: bytes=N-`` or ``bytes=N-M`` on."""
        headers = {"Docker-Content-Digest": digest, "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, end = (int(asked[1]), min(int(asked[2] or size - 1), size - 1)) if asked else (0, size - 1)
        if asked and start > end:
            self.reply(416, b"", {"Content-Range": f"bytes */{size}"})
            return
        if asked:
            headers["Content-Range"] = f"bytes {start}-{end}/{size}"
        data.seek(start)
        self.head(206 if asked else 200, {**headers, "Content-Type": "application/octet-stream"}, end - start + 1)
        if self.command != "HEAD":
            self.copy(data, end - start + 1)

    def copy(self, data: BinaryIO, length: int) -> None:
        """Send ``length`` bytes of ``data`` as the body."""
        while length > 0 and (chunk := data.read(min(_CHUNK, length))):
            self.wfile.write(chunk)
            length -= len(chunk)

    def get_manifest(self, name: str, reference: str) -> None:
        found = self.shelf.manifest(name, reference)
        if found is None:
            known = self.shelf.tags(name) is not None
            self.refuse(404, "MANIFEST_UNKNOWN" if known else "NAME_UNKNOWN", "manifest unknown")
            return
        raw, media_type, digest = found
        self.reply(200, raw, {"Content-Type": media_type, "Docker-Content-Digest": digest})

    def get_tags(self, name: str) -> None:
        tags = self.shelf.tags(name)
        if tags is None:
            self.refuse(404, "NAME_UNKNOWN", "repository name not known to registry")
        else:
            self.listing("tags", tags, {"name": name})

    def get_catalog(self) -> None:
        self.listing("repositories", self.shelf.repositories(), {})

    # --- push ---

    def put_manifest(self, name: str, reference: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MANIFEST_LIMIT:
            self.close_connection = True
            self.refuse(413, "SIZE_INVALID", "the manifest is too large")
            return
        raw = self.rfile.read(length)
        media_type = self.headers.get("Content-Type") or "application/vnd.oci.image.manifest.v1+json"
        digest = self.shelf.put_manifest(name, reference, raw, media_type)
        self.reply(201, b"", {"Location": f"/v2/{name}/manifests/{digest}", "Docker-Content-Digest": digest})

    def delete_manifest(self, name: str, reference: str) -> None:
        if self.shelf.delete_manifest(name, reference):
            self.reply(202, b"")
        else:
            self.refuse(404, "MANIFEST_UNKNOWN", "manifest unknown")

    def post_uploads(self, name: str) -> None:
        query = self.query()
        mounted = query.get("mount", "")
        if mounted and self.shelf.blob(mounted) is not None:
            # Blobs are shared by all repositories here, so mounting one is only saying yes.
            self.reply(201, b"", {"Location": f"/v2/{name}/blobs/{mounted}", "Docker-Content-Digest": mounted})
            return
        upload = self.shelf.begin()
        if query.get("digest"):
            self.put_upload(name, upload)
            return
        self.reply(
            202, b"", {"Location": f"/v2/{name}/blobs/uploads/{upload}", "Docker-Upload-UUID": upload, "Range": "0-0"}
        )

    def get_upload(self, name: str, upload: str) -> None:
        size = self.shelf.upload_size(upload)
        if size is None:
            self.refuse(404, "BLOB_UPLOAD_UNKNOWN", "no such upload")
        else:
            self.reply(204, b"", {"Location": f"/v2/{name}/blobs/uploads/{upload}", "Range": f"0-{max(0, size - 1)}"})

    def patch_upload(self, name: str, upload: str) -> None:
        size = self.shelf.upload_size(upload)
        if size is None:
            self.close_connection = True
            self.refuse(404, "BLOB_UPLOAD_UNKNOWN", "no such upload")
            return
        begins = re.match(r"(?:bytes[ =])?(\d+)-", self.headers.get("Content-Range", ""))
        if begins and int(begins[1]) != size:
            self.close_connection = True
            self.reply(416, b"", {"Range": f"0-{max(0, size - 1)}"})
            return
        size = self.receive(upload)
        self.reply(202, b"", {"Location": f"/v2/{name}/blobs/uploads/{upload}", "Range": f"0-{max(0, size - 1)}"})

    def put_upload(self, name: str, upload: str) -> None:
        digest = self.query().get("digest", "")
        if self.shelf.upload_size(upload) is None:
            self.close_connection = True
            self.refuse(404, "BLOB_UPLOAD_UNKNOWN", "no such upload")
            return
        self.receive(upload)
        self.shelf.finish(upload, digest)
        self.reply(201, b"", {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest})

    def delete_upload(self, name: str, upload: str) -> None:
        self.reply(204 if self.shelf.drop(upload) else 404, b"")

    def receive(self, upload: str) -> int:
        """Add the request's body, of known length or chunked (RFC 9112, 7.1), to an upload."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.shelf.append(upload, self.rfile, int(self.headers.get("Content-Length") or 0))  # type: ignore[arg-type]
        while length := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            self.shelf.append(upload, self.rfile, length)  # type: ignore[arg-type]
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return self.shelf.upload_size(upload) or 0

    # --- answers ---

    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}

    def listing(self, key: str, names: list[str], fields: dict[str, Any]) -> None:
        """A list in pages of ``?n=`` after ``?last=`` (spec, "Listing Tags")."""
        query = self.query()
        names = [name for name in names if name > query.get("last", "")]
        headers = {"Content-Type": "application/json"}
        if query.get("n", "").isdigit() and int(query["n"]) < len(names):
            names = names[: int(query["n"])]
            path = urlsplit(self.path).path
            if names:
                headers["Link"] = f'<{path}?n={query["n"]}&last={names[-1]}>; rel="next"'
        self.reply(200, json.dumps({**fields, key: names}).encode(), headers)

    def head(self, status: int, headers: dict[str, str], length: int) -> None:
        self.send_response(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.head(status, headers or {}, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        self.reply(status, body, {"Content-Type": "application/json"})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name http.server gives it)
        """Say nothing: the server lives inside kernels and tests."""


class ReadOnlyHandler(RegistryHandler):
    """Pulls only: whatever would change the images is answered with 405, as what the registry does not do."""

    def answer(self) -> None:
        if self.command in ("GET", "HEAD"):
            super().answer()
            return
        self.close_connection = True
        self.refuse(405, "UNSUPPORTED", "this registry is read-only")

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815


_CODES = {"InvalidDigest": "DIGEST_INVALID", "CorruptBlob": "DIGEST_INVALID", "InvalidReference": "NAME_INVALID"}
