"""config.yaml: defaults, environment, and mistakes that name file, line and repair."""

from __future__ import annotations

from pathlib import Path

import pytest

from ioc.config import Config, load, secret
from ioc.errors import UserError

ROOT = Path(__file__).parents[2]


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_file_describes_thai_nguyen() -> None:
    config = load(ROOT / "config.yaml")
    assert config.province.code == "19"
    assert len(config.feeds) == len({feed.feed for feed in config.feeds}) >= 8


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "database: {dsn: postgresql://file/x, pool_max: 3}\n")
    monkeypatch.setenv("IOC_DATABASE__DSN", "postgresql://env/x")
    config = load(path)
    assert (config.database.dsn, config.database.pool_max) == ("postgresql://env/x", 3)


def test_variables_are_filled_in_and_have_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST_OF_PORTAL", "portal.example")
    path = write(tmp_path, "feeds:\n- {feed: a, connector: push, title: {vi: A, en: A}, url: 'http://${HOST_OF_PORTAL}:${PORT_OF_PORTAL:-80}/'}\n")
    assert load(path).feeds[0].url == "http://portal.example:80/"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("feeds:\n- feed: a\n  connector: push\n", "line 2: feeds.0.title"),
        ("web:\n  host: x\n  port: many\n", "line 3: web.port"),
        ("webb: {}\n", "line 1: webb"),
        ("feeds:\n- {feed: 'Bad Name', connector: push, title: {vi: A, en: A}}\n", "small letters"),
        ("feeds: &f\n- &a {feed: a, connector: push, title: {vi: A, en: A}}\n- *a\n", "named twice"),
        ("stills:\n  cameras:\n  - {camera: a, title: {vi: A, en: A}, url: 'http://x/', asset: vms/1}\n", "'vms/1', and no feed is called so"),
        ("feeds: [", "not valid YAML"),
        ("- a\n", "top level"),
    ],
)
def test_a_mistake_names_file_line_and_repair(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "none.yaml")


def test_a_secret_comes_from_environment_or_folder_and_never_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "PORTAL_TOKEN").write_text("from-file\n", encoding="utf-8")
    config = Config(secrets_dir=tmp_path)
    assert secret(config, "PORTAL_TOKEN") == "from-file"
    monkeypatch.setenv("PORTAL_TOKEN", "from-env")
    assert secret(config, "PORTAL_TOKEN") == "from-env"
    with pytest.raises(UserError, match="OTHER_TOKEN"):
        secret(config, "OTHER_TOKEN")


def test_every_option_has_a_default_or_is_asked_for_and_every_setting_a_sentence() -> None:
    from ioc import config

    for model in (config.Province, config.Database, config.Broker, config.Ingest, config.Web):
        for name, field in model.model_fields.items():
            assert not field.is_required(), name
    unexplained = [name for model in (config.Database, config.Broker, config.Ingest) for name, field in model.model_fields.items() if not field.description and name != "kind"]
    assert not unexplained
