"""daemon.json: the whole file, of what the controls say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.host.controls import Values, load
from infra.host.docker.text import daemon_json

ROOT = Path(__file__).resolve().parents[3]
VALUES = load(ROOT, today=datetime.now(UTC).date()).values_for("debian-13")


def test_every_control_is_a_key_but_what_is_off_without_a_word() -> None:
    keys = list(json.loads(daemon_json(VALUES)))
    assert keys == [key for key in VALUES.under("daemon_json") if key != "userns-remap"]


def test_words_of_the_daemon() -> None:
    found = json.loads(daemon_json(VALUES))
    assert found["icc"] is False
    assert found["insecure-registries"] == []
    assert found["log-opts"] == {"max-size": "10m", "max-file": "3"}
    assert found["default-ulimits"] == {"nofile": {"Name": "nofile", "Soft": 16384, "Hard": 16384}}


def test_no_address_beside_the_socket() -> None:
    """`hosts` would also contradict the unit, which hands the socket over, and the daemon would not start."""
    assert "hosts" not in json.loads(daemon_json(VALUES))


def test_a_mapping_user_is_written_where_it_is_chosen() -> None:
    values = Values({**VALUES.root, "daemon_json.userns-remap": "default"})
    assert json.loads(daemon_json(values))["userns-remap"] == "default"


@pytest.mark.parametrize("pair", [16384, (16384,)])
def test_a_limit_is_two_numbers(pair: int | tuple[int, ...]) -> None:
    values = Values({**VALUES.root, "daemon_json.default-ulimits": {"nofile": pair}})
    with pytest.raises(ValueError, match=r"nofile is .*, wanted are soft and hard limit"):
        daemon_json(values)
