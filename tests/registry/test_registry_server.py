"""The small registry: what it takes and gives, also to other tools."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import urllib3

from minirt.model.digest import Digest
from minirt.model.manifest import MANIFEST

DATA = b"layer" * 1000
HTTP = urllib3.PoolManager()


def call(place, method: str, path: str, **options):
    return HTTP.request(method, f"http://{place.address}{path}", redirect=False, retries=False, **options)


def test_upload_in_pieces(place):
    """A blob may come as a POST, several PATCHes and a PUT, and is then served."""
    begun = call(place, "POST", "/v2/app/blobs/uploads/")
    assert begun.status == 202
    where = begun.headers["Location"]
    assert call(place, "PATCH", where, body=DATA[:2000]).headers["Range"] == "0-1999"
    assert call(place, "PATCH", where, body=iter([DATA[2000:3000], DATA[3000:]])).status == 202
    digest = Digest.of(DATA)
    assert call(place, "PUT", f"{where}?digest={digest}").status == 201
    assert call(place, "GET", f"/v2/app/blobs/{digest}").data == DATA


def test_wrong_digest_is_refused(place):
    """An upload that has another digest than announced is dropped."""
    where = call(place, "POST", "/v2/app/blobs/uploads/").headers["Location"]
    refused = call(place, "PUT", f"{where}?digest={Digest.of(b'other')}", body=DATA)
    assert refused.status == 400 and refused.json()["errors"][0]["code"] == "DIGEST_INVALID"
    assert call(place, "GET", where).status == 404


def test_ranges(place):
    """A part of a blob is served as RFC 9110 says."""
    place.blob(DATA)
    path = f"/v2/app/blobs/{Digest.of(DATA)}"
    part = call(place, "GET", path, headers={"Range": "bytes=10-19"})
    assert (part.status, part.data, part.headers["Content-Range"]) == (206, DATA[10:20], f"bytes 10-19/{len(DATA)}")
    assert call(place, "GET", path, headers={"Range": f"bytes={len(DATA)}-"}).status == 416


def test_lists_come_in_pages(place):
    """Tags and repositories are listed in order, in pages with a link to the next."""
    for tag in ("1", "2", "3"):
        place.image("app", DATA, tag=tag)
    page = call(place, "GET", "/v2/app/tags/list?n=2")
    assert page.json() == {"name": "app", "tags": ["1", "2"]}
    assert page.headers["Link"] == '</v2/app/tags/list?n=2&last=2>; rel="next"'
    assert call(place, "GET", "/v2/app/tags/list?n=2&last=2").json()["tags"] == ["3"]
    assert call(place, "GET", "/v2/_catalog").json() == {"repositories": ["app"]}


def test_a_manifest_is_forgotten_with_its_tags(place):
    """Deleting a manifest by digest takes its tags along."""
    digest = Digest.of(place.image("app", DATA).to_bytes())
    assert call(place, "DELETE", f"/v2/app/manifests/{digest}").status == 202
    assert call(place, "GET", "/v2/app/manifests/latest").status == 404


@pytest.mark.parametrize(
    "path", ["/v2/../etc/manifests/x", "/v2/a/manifests/..%2f..", "/v2/A/tags/list", "/etc/passwd"]
)
def test_names_never_become_other_paths(place, path):
    """What is not a name of the specification is refused before it reaches the disk."""
    assert call(place, "GET", path).status in (400, 404)


@pytest.mark.peer
@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
def test_skopeo_pushes_and_pulls(place, tmp_path: Path):
    """Skopeo copies an image into the registry and out again, the same in every bit."""
    manifest = place.image("app", DATA)
    copy = ["skopeo", "copy", "-q", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"]
    there = f"docker://{place.address}"
    (tmp_path / "auth.json").write_text("{}")  # not the one of whoever runs the tests
    environment = {**os.environ, "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
    subprocess.run([*copy, f"{there}/app:latest", f"{there}/copy/of:1"], check=True, env=environment)
    subprocess.run([*copy, f"{there}/copy/of:1", f"oci:{tmp_path / 'out'}:x"], check=True, env=environment)
    index = json.loads((tmp_path / "out" / "index.json").read_bytes())
    assert index["manifests"][0]["digest"] == str(Digest.of(manifest.to_bytes()))
    assert index["manifests"][0]["mediaType"] == MANIFEST
