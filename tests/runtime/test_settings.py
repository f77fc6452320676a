"""Settings are read once, and what is wrong with them is told without showing them."""

from pathlib import Path

import pytest

from shared.runtime.settings import Settings, SettingsError, load


class More(Settings, frozen=True, kw_only=True):
    agent_id: str
    interval_s: float = 3.0
    folders: int | None = None


BASE = {"QM_NATS_URL": "nats://u:p@h:1"}


def test_settings_come_from_the_environment():
    environ = {**BASE, "QM_HTTP_PORT": "8080", "QM_MASTER_KEY_FILE": "keys.json"}
    found = load(Settings, "users", environ)
    assert found.service == "users"
    assert found.http_port == 8080
    assert found.master_key_file == Path("keys.json")
    assert found.http_host == "127.0.0.1"


def test_a_service_adds_its_own():
    environ = {**BASE, "QM_AGENT_ID": "a", "QM_INTERVAL_S": "0.5", "QM_FOLDERS": "3"}
    found = load(More, "node", environ)
    assert (found.agent_id, found.interval_s, found.folders) == ("a", 0.5, 3)


def test_an_empty_variable_counts_as_absent():
    assert load(Settings, "users", {**BASE, "QM_HTTP_PORT": " "}).http_port == 0


def test_everything_wrong_is_named_and_no_value_is_shown():
    environ = {"QM_HTTP_PORT": "hunter2", "QM_LOG_LEVEL": "s3cret"}
    with pytest.raises(SettingsError) as caught:
        load(More, "node", environ)
    text = str(caught.value)
    for name in ("QM_NATS_URL", "QM_AGENT_ID", "QM_HTTP_PORT", "QM_LOG_LEVEL"):
        assert name in text
    assert "hunter2" not in text
    assert "s3cret" not in text
    assert "debug, info, warning, error" in text


def test_a_settings_object_does_not_show_its_secrets():
    assert "nats://" not in repr(load(Settings, "users", BASE))
    assert "nats://" not in f"{load(More, 'node', {**BASE, 'QM_AGENT_ID': 'a'})}"
