"""The environment and the config file decide, and are checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minirt.cli.settings import Settings
from minirt.errors import InvalidDocument, InvalidSpec


def test_defaults(tmp_path: Path) -> None:
    """Nothing set: the XDG data directory, no mirrors, the probe's choice."""
    settings = Settings.read({"HOME": str(tmp_path)})
    assert settings.home == tmp_path / ".local" / "share" / "minirt"
    assert (settings.mirrors, settings.snapshotter, settings.isolation) == ((), None, None)
    assert settings.live
    assert settings.color
    assert settings.source_date_epoch is None


def test_home(tmp_path: Path) -> None:
    """MINIRT_HOME wins over XDG_DATA_HOME; a relative XDG_DATA_HOME is ignored, as its specification asks."""
    assert Settings.read({"MINIRT_HOME": str(tmp_path), "XDG_DATA_HOME": "/elsewhere"}).home == tmp_path
    assert Settings.read({"XDG_DATA_HOME": str(tmp_path)}).home == tmp_path / "minirt"
    relative = Settings.read({"XDG_DATA_HOME": "rel", "HOME": str(tmp_path)})
    assert relative.home == tmp_path / ".local" / "share" / "minirt"


def test_everything_set(tmp_path: Path) -> None:
    """Every variable is read into its type."""
    settings = Settings.read(
        {
            "MINIRT_HOME": str(tmp_path),
            "MINIRT_REGISTRY_MIRRORS": "http://mirror.test:5000/, https://other.test",
            "MINIRT_SHARED_STORE": "/srv/minirt::/srv/more",
            "MINIRT_SNAPSHOTTER": "copy",
            "MINIRT_ISOLATION": "auto",
            "MINIRT_LIVE": "0",
            "NO_COLOR": "1",
            "SOURCE_DATE_EPOCH": "1700000000",
            "HTTPS_PROXY": "http://proxy.test:3128",
            "no_proxy": "localhost",
        }
    )
    assert settings.mirrors == ("http://mirror.test:5000", "https://other.test")
    assert settings.shared_stores == (Path("/srv/minirt"), Path("/srv/more"))
    assert (settings.snapshotter, settings.isolation) == ("copy", None)
    assert not settings.live
    assert not settings.color
    assert settings.source_date_epoch == 1_700_000_000
    assert settings.proxies == {"https": "http://proxy.test:3128", "no_proxy": "localhost"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MINIRT_REGISTRY_MIRRORS", "mirror.test"),
        ("MINIRT_REGISTRY_MIRRORS", "ftp://mirror.test"),
        ("MINIRT_REGISTRY_MIRRORS", "https://mirror.test:port"),
        ("MINIRT_SHARED_STORE", "srv/minirt"),
        ("MINIRT_SNAPSHOTTER", "btrfs"),
        ("MINIRT_ISOLATION", "jail"),
        ("MINIRT_LIVE", "perhaps"),
        ("SOURCE_DATE_EPOCH", "yesterday"),
        ("SOURCE_DATE_EPOCH", "9" * 14),
    ],
)
def test_bad_values(variable: str, value: str, tmp_path: Path) -> None:
    """A value that cannot be right is an error that says what would be."""
    with pytest.raises(InvalidSpec) as caught:
        Settings.read({"MINIRT_HOME": str(tmp_path), variable: value})
    assert caught.value.hint
    assert value in caught.value.what


def test_config_file(tmp_path: Path) -> None:
    """config.json has daemon.json's keys; the environment wins over it."""
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "registry-mirrors": ["https://mirror.test"],
                "insecure-registries": ["localhost:5000"],
                "shared-stores": ["/srv/minirt"],
            }
        )
    )
    settings = Settings.read({"MINIRT_HOME": str(tmp_path)})
    assert settings.mirrors == ("https://mirror.test",)
    assert settings.shared_stores == (Path("/srv/minirt"),)
    assert settings.insecure_registries == ("localhost:5000",)
    assert Settings.read({"MINIRT_HOME": str(tmp_path), "MINIRT_REGISTRY_MIRRORS": ""}).mirrors == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "does not hold a JSON object"),
        ('{"mirrors": []}', "unknown key 'mirrors'"),
        ('{"registry-mirrors": "x"}', "must be a list of strings"),
        ('{"snapshotter": 1}', "must be a string"),
    ],
)
def test_bad_config_file(text: str, says: str, tmp_path: Path) -> None:
    """A config file that cannot be right is named, with the key that is wrong."""
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InvalidDocument, match=says):
        Settings.read({"MINIRT_HOME": str(tmp_path)})
