"""The client against a real server: what it fetches, and what it makes of a server that misbehaves."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from minirt.errors import (
    Cancelled,
    CorruptBlob,
    ImageNotFound,
    InvalidDocument,
    InvalidInput,
    MinirtError,
    RegistryDenied,
    RegistryError,
    RegistryUnreachable,
    Unsupported,
)
from minirt.model.cancel import Cancel
from minirt.model.digest import Digest
from minirt.model.manifest import MANIFEST, Descriptor
from minirt.model.reference import Reference
from minirt.registry.client import RegistryClient

from .conftest import QUICK, Fault

DATA = bytes(range(256)) * 4096  # 1 MiB


def fetched(client: RegistryClient, place, name: str, data: bytes = DATA) -> bytes:
    return b"".join(client.blob(place.ref(name), Descriptor("x", Digest.of(data), len(data))))


def test_manifest_by_tag_and_by_digest(place, client):
    """A tag and a digest lead to the same document, with its digest and size."""
    manifest = place.image("a/b", DATA, tag="1").to_bytes()
    by_tag, raw = client.manifest(place.ref("a/b:1"))
    assert (raw, by_tag) == (manifest, Descriptor(MANIFEST, Digest.of(manifest), len(manifest)))
    assert client.manifest(place.ref(f"a/b@{by_tag.digest}")) == (by_tag, raw)


def test_blob_comes_whole(place, client):
    """A blob's bytes are what the registry has."""
    place.image("app", DATA)
    assert fetched(client, place, "app") == DATA


def test_empty_blob_needs_no_request(place, client):
    """A blob of no bytes is nothing to fetch."""
    place.image("app", b"")
    assert fetched(client, place, "app", b"") == b""
    assert not place.trouble.paths("/blobs/")


def test_resumes_where_the_connection_broke(place, client):
    """After a broken connection only the rest is asked for, and nothing comes twice."""
    place.image("app", DATA)
    place.trouble.faults = [Fault("/blobs/", cut_after=300_000), Fault("/blobs/", cut_after=500_000)]
    assert fetched(client, place, "app") == DATA
    ranges = [headers.get("Range") for _, path, headers in place.trouble.seen if "/blobs/" in path]
    assert ranges[0] is None and ranges[1] == "bytes=300000-" and len(ranges) == 3


def test_resumes_although_the_server_ignores_range(place, client):
    """A server that sends everything again is read past what is here already."""
    place.image("app", DATA)
    place.trouble.faults = [Fault("/blobs/", cut_after=300_000), Fault("/blobs/", without_range=True)]
    assert fetched(client, place, "app") == DATA


def test_gives_up_on_a_connection_that_brings_nothing(place, client):
    """A place that drops every connection at once is an error after a few tries."""
    place.image("app", DATA)
    place.trouble.faults = [Fault("/blobs/", times=99, cut_after=0)]
    with pytest.raises(RegistryUnreachable, match="keeps dropping"):
        fetched(client, place, "app")


def test_more_bytes_than_announced(place, client):
    """A server that sends more than the descriptor says is stopped."""
    place.image("app", DATA)
    with pytest.raises(CorruptBlob, match="more than"):
        b"".join(client.blob(place.ref("app"), Descriptor("x", Digest.of(DATA), 1000)))


def test_document_with_wrong_bytes(place, client):
    """A config is checked, fetched once more, and refused if it is wrong again."""
    config = place.image("app", DATA).config
    place.trouble.faults = [Fault(config.digest.hex, corrupt=True)]
    assert Digest.of(client.document(place.ref("app"), config)) == config.digest
    place.trouble.faults = [Fault(config.digest.hex, times=2, corrupt=True)]
    with pytest.raises(CorruptBlob):
        client.document(place.ref("app"), config)


def test_manifest_that_is_not_what_its_digest_says(place, client):
    """A document under a digest it does not have is refused."""
    manifest = place.image("app", DATA)
    digest = Digest.of(manifest.to_bytes())
    (place.server.shelf.root / "blobs" / "sha256" / digest.hex).write_bytes(b'{"layers": []}')
    with pytest.raises(CorruptBlob, match="another document"):
        client.manifest(place.ref(f"app@{digest}"))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_tries_again_when_the_server_is_busy(place, client, status):
    """Statuses that pass with time are tried again, as Retry-After asks."""
    place.image("app", DATA)
    place.trouble.faults = [Fault("/manifests/", times=2, status=status, headers=(("Retry-After", "0.02"),))]
    assert client.manifest(place.ref("app"))[0].media_type == MANIFEST
    assert len(place.trouble.paths("/manifests/")) == 3


def test_too_many_requests_for_ever(place, client):
    """A server that stays busy is an error that names the limit and mirrors."""
    place.trouble.faults = [Fault("/manifests/", times=99, status=429)]
    with pytest.raises(RegistryError, match="too many requests") as caught:
        client.manifest(place.ref("app"))
    assert "MINIRT_REGISTRY_MIRRORS" in caught.value.hint


def test_an_hour_is_not_waited_for(place):
    """A server that asks to come back in an hour is believed at once."""
    place.trouble.faults = [Fault("/manifests/", times=9, status=429, headers=(("Retry-After", "3600"),))]
    with pytest.raises(RegistryError, match="too many requests"):
        RegistryClient().manifest(place.ref("app"))
    assert len(place.trouble.seen) == 1


def test_through_a_proxy(place):
    """Where a proxy is named, requests for other machines go to it, and those for this one do not."""
    place.image("library/app", DATA)
    client = RegistryClient(
        ("http://mirror.invalid",), patience=QUICK, proxies={"http": f"http://{place.address}", "no_proxy": "x.invalid"}
    )
    assert client.manifest(Reference.parse("app"))[0].media_type == MANIFEST
    assert place.trouble.seen[0][1] == "http://mirror.invalid/v2/library/app/manifests/latest"
    direct = RegistryClient(("http://a.x.invalid",), patience=QUICK, proxies={"http": f"http://{place.address}"})
    direct.manifest(place.ref("library/app"))
    assert place.trouble.seen[-1][1] == "/v2/library/app/manifests/latest"


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not here to make a certificate")
def test_a_certificate_nobody_vouches_for(place, tmp_path):
    """A registry with a certificate of its own is refused with the reason, and served when named as insecure."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    subprocess.run(make.split(), check=True, capture_output=True, cwd=tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    place.image("library/app", DATA)
    server = place.server._server
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with pytest.raises(MinirtError) as caught:
        RegistryClient((f"https://{place.address}",), patience=QUICK).manifest(Reference.parse("app"))
    assert f"no secure connection to {place.address}" in caught.value.cause
    insecure = RegistryClient(insecure=(place.address,), patience=QUICK)
    assert insecure.manifest(place.ref("library/app"))[0].media_type == MANIFEST


def test_slow_server_is_waited_for_once_more(place, client):
    """An answer that does not come in time is asked for again."""
    place.image("app", DATA)
    place.trouble.faults = [Fault("/manifests/", stall=0.8)]
    assert client.manifest(place.ref("app"))[1]


def test_unknown_tag_and_unknown_repository(place, client):
    """A missing tag and a missing repository are told apart, and are not tried again."""
    place.image("app", DATA)
    with pytest.raises(ImageNotFound, match=r"manifest for .*app:nope not found"):
        client.manifest(place.ref("app:nope"))
    with pytest.raises(ImageNotFound, match=r"repository .*other not found"):
        client.manifest(place.ref("other"))
    assert len(place.trouble.paths("other")) == 1


def test_token_is_fetched_and_kept(place, client):
    """A registry that wants a token gets one from its realm, once for all requests of a repository."""
    place.trouble.token = "t0ken"
    place.image("app", DATA)
    client.manifest(place.ref("app"))
    assert fetched(client, place, "app") == DATA
    tokens = place.trouble.paths("/token")
    assert len(tokens) == 1 and "scope=repository%3Aapp%3Apull" in tokens[0] and "service=test" in tokens[0]


def test_denied(place, client):
    """What no anonymous token opens is denied in the words docker uses."""
    place.trouble.token = "t0ken"
    with pytest.raises(RegistryDenied, match=r"pull access denied for .*secret"):
        client.manifest(place.ref("secret"))


def test_redirect_to_another_host_without_the_token(start, client):
    """A blob that lies elsewhere is fetched there, and the token stays with the registry."""
    here, cdn = start(), start()
    here.trouble.token = "t0ken"
    here.image("app", DATA)
    layer = cdn.blob(DATA)
    target = f"http://{cdn.address}/v2/app/blobs/{layer.digest}"
    here.trouble.faults = [Fault("/blobs/", status=307, headers=(("Location", target),))]
    client.manifest(here.ref("app"))
    assert b"".join(client.blob(here.ref("app"), layer)) == DATA
    ((_, _, headers),) = cdn.trouble.seen
    assert "Authorization" not in headers


def test_endless_redirects(place, client):
    """A server that redirects for ever is an error, not a loop."""
    place.trouble.faults = [Fault("/manifests/", times=99, status=302, headers=(("Location", "/v2/app/manifests/x"),))]
    with pytest.raises(RegistryError, match="without end"):
        client.manifest(place.ref("app"))


def test_old_format_is_named(place, client):
    """A manifest of schema 1 is refused with its age."""
    place.server.shelf.put_manifest("old", "latest", b'{"schemaVersion": 1}', "application/json")
    with pytest.raises(Unsupported, match="before 2016"):
        client.manifest(place.ref("old"))


def test_what_is_not_an_image(place, client):
    """A web page instead of a manifest is refused."""
    place.server.shelf.put_manifest("page", "latest", b"<html>", "text/html")
    with pytest.raises(InvalidDocument, match="not an image"):
        client.manifest(place.ref("page"))


def test_media_type_from_the_document(place, client):
    """A registry that calls every document JSON is understood."""
    manifest = place.image("app", DATA).to_bytes()
    place.server.shelf.put_manifest("app", "latest", manifest, "application/json")
    assert client.manifest(place.ref("app"))[0].media_type == MANIFEST


def test_nothing_listens(client):
    """A closed port is told as such, with what to look at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(RegistryUnreachable, match=f"cannot reach {address}") as caught:
        client.manifest(Reference.parse(f"{address}/app"))
    assert "refused" in caught.value.cause


def test_host_that_does_not_exist(client):
    """A host name that means nothing is an error that a learner can act on."""
    with pytest.raises(RegistryUnreachable) as caught:
        client.manifest(Reference.parse("registry.invalid/app"))
    assert "registry.invalid" in caught.value.what and caught.value.hint


def test_tls_is_expected_where_there_is_none(place):
    """An https mirror without TLS is explained, with the http:// that it needs."""
    lonely = RegistryClient((f"https://{place.address}",), patience=QUICK)
    with pytest.raises(MinirtError) as caught:
        lonely.manifest(Reference.parse("app"))
    assert place.address in caught.value.cause


def test_mirrors_in_order_then_the_next(start):
    """Mirrors of Docker Hub are asked in their order; one that fails or lacks the image means the next."""
    empty, broken, full = start(), start(), start()
    full.image("library/app", DATA)
    broken.trouble.faults = [Fault("/v2/", times=99, status=500)]
    client = RegistryClient([f"http://{p.address}" for p in (empty, broken, full)], patience=QUICK)
    ref = Reference.parse("app")
    descriptor, _ = client.manifest(ref)
    assert descriptor.media_type == MANIFEST
    assert len(empty.trouble.seen) == 1 and len(broken.trouble.seen) == QUICK.attempts
    assert b"".join(client.blob(ref, Descriptor("x", Digest.of(DATA), len(DATA)))) == DATA
    assert not empty.trouble.paths("/blobs/")  # the place that had the manifest is asked first


def test_blob_from_the_next_place(start):
    """When the mirror breaks in the middle of a blob, the next one goes on where it stopped."""
    first, second = start(), start()
    for mirror in (first, second):
        mirror.image("library/app", DATA)
    first.trouble.faults = [Fault("/blobs/", cut_after=100_000), Fault("/blobs/", times=99, status=503)]
    client = RegistryClient([f"http://{p.address}" for p in (first, second)], patience=QUICK)
    assert b"".join(client.blob(Reference.parse("app"), Descriptor("x", Digest.of(DATA), len(DATA)))) == DATA
    ((_, _, headers),) = second.trouble.seen
    assert headers["Range"] == "bytes=100000-"


def test_mirrors_serve_docker_hub_only(start):
    """A registry that is named in the reference is not replaced by a mirror."""
    mirror, own = start(), start()
    own.image("app", DATA)
    client = RegistryClient([f"http://{mirror.address}"], patience=QUICK)
    client.manifest(own.ref("app"))
    assert not mirror.trouble.seen


def test_mirror_addresses_are_checked():
    """What cannot be a base address is refused with an example."""
    with pytest.raises(InvalidInput, match="not the address"):
        RegistryClient(["ftp://mirror"]).manifest(Reference.parse("app"))


def test_cancel_ends_a_wait(place):
    """An interrupt ends the wait between two tries at once."""
    place.trouble.faults = [Fault("/manifests/", times=99, status=503, headers=(("Retry-After", "10"),))]
    with Cancel() as cancel:
        threading.Timer(0.1, cancel.cancel).start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            RegistryClient().manifest(place.ref("app"), cancel=cancel)
        assert time.monotonic() - began < 2


def test_abort_wakes_a_read(place):
    """A download can be ended from another thread while it waits for bytes."""
    place.image("app", DATA)
    place.trouble.faults = [Fault("/blobs/", stall_body=3)]
    download = RegistryClient().blob(place.ref("app"), Descriptor("x", Digest.of(DATA), len(DATA)))
    threading.Timer(0.2, download.abort).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        b"".join(download)
    assert time.monotonic() - began < 2
