"""Settings of an agent, and where its key comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.settings import key_of, read_settings, state_directory
from scheduler.domain.errors import InvalidSetting
from scheduler.protocol import signing

SECRET = "a secret for tests only"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET", "SECRET_FILE", "AGENT_KEY", "AGENT_KEY_FILE", "REDIS_URL", "NAMESPACE"):
        monkeypatch.delenv(f"SCHEDULER_{name}", raising=False)


def test_the_environment_is_read_and_options_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_LEASE", "1m")
    monkeypatch.setenv("SCHEDULER_LOG_CAP", "64KiB")
    monkeypatch.setenv("SCHEDULER_NAMESPACE", "one")
    settings = read_settings(namespace="two", redis_url=None)

    assert (60.0, 65_536, "two") == (settings.lease, settings.log_cap, settings.namespace)
    assert "redis://localhost:6379/0" == settings.redis_url


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("lease", "soon", "expected a duration"),
        ("lease", "3s", "expected at most a third of lease"),
        ("namespace", "a b", "expected letters"),
        ("log_level", "LOUD", "expected DEBUG"),
        ("memory_limit", "maybe", "Input should be"),
        ("warm_children", "-1", "greater than or equal to 0"),
    ],
)
def test_a_bad_setting_is_one_sentence(name: str, value: str, says: str) -> None:
    with pytest.raises(InvalidSetting, match=says):
        read_settings(**{name: value})


def test_the_key_is_derived_from_the_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    expected = signing.agent_key(SECRET, "scheduler", "a1")

    assert expected == key_of(read_settings(secret=SECRET), "a1")
    assert expected == key_of(read_settings(secret_file=tmp_path / "secret"), "a1")
    assert expected == key_of(read_settings(agent_key=expected), "a1")


def test_an_agents_own_key_is_enough_and_comes_first(tmp_path: Path) -> None:
    own = signing.agent_key(SECRET, "scheduler", "a1")
    (tmp_path / "key").write_text(own)

    settings = read_settings(agent_key_file=tmp_path / "key", secret="another secret altogether")
    assert own == key_of(settings, "a1")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "SCHEDULER_AGENT_KEY or --key-file"),
        ({"agent_key": "no hex"}, "agent key"),
        ({"secret": "short"}, "at least 16"),
        ({"secret_file": "/nowhere/secret"}, "cannot be read"),
    ],
)
def test_a_missing_or_broken_key_says_what_to_set(given: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidSetting, match=says):
        key_of(read_settings(**given), "a1")


def test_secrets_are_not_printed() -> None:
    assert SECRET not in repr(read_settings(secret=SECRET, agent_key=SECRET))


def test_the_state_directory_may_be_set(tmp_path: Path) -> None:
    assert tmp_path == state_directory(read_settings(state_dir=tmp_path))
