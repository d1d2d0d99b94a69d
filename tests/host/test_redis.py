"""Redis: nothing without the password, and not more than needed with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from engine import Engine, Running

from infra.operate.outputs import StackOutputs

SUBJECT = "redis"

# Runs in the live slot, which has the password as a file; the value never leaves it.
ASK = """
import json, redis
client = redis.Redis.from_url(open("/run/gad/secrets/redis_url").read(), socket_timeout=2)
def refused(*command):
    try:
        client.execute_command(*command)
    except redis.exceptions.NoPermissionError:
        return True
    return False
info = client.info()
print(json.dumps({
    "ping": client.ping(),
    "maxmemory": info["maxmemory"],
    "policy": info["maxmemory_policy"],
    "aof": info["aof_enabled"],
    "aof_ok": info["aof_last_write_status"],
    "refused": [refused(*c) for c in (("CONFIG", "GET", "requirepass"), ("FLUSHALL",), ("GET", "other"))],
}))
"""


@pytest.fixture(scope="session")
def answers(engine: Engine, outputs: StackOutputs) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine.running(outputs.live).inside.check_output("python -c %s", ASK))
    return found


# Whether redis.tls is declared → how a client speaks, and what one hears that speaks clear text.
TLS = {True: "--tls --cacert /run/gad/secrets/server.crt", False: ""}
CLEAR_TEXT = {True: "Error:", False: "NOAUTH"}


def test_clear_text_is_refused(engine: Engine, outputs: StackOutputs) -> None:
    """Nobody is answered in clear text, if encryption is declared.

    Remedy: compare redis.conf with its template; `gad up` puts it back.
    """
    answer = engine.running("redis").inside.run("redis-cli -h redis PING 2>&1")
    assert answer.stdout.split()[0] == CLEAR_TEXT[outputs.redis_tls]


@pytest.mark.parametrize("command", ["PING", "INFO", "GET gad:x"])
def test_password_is_needed(engine: Engine, outputs: StackOutputs, command: str) -> None:
    """Answers nothing but NOAUTH without the password.

    Remedy: compare users.acl with what `gad up` writes: the default account must be off.
    """
    redis: Running = engine.running("redis")
    answer = redis.inside.run(f"redis-cli -h redis {TLS[outputs.redis_tls]} {command}")
    assert answer.stdout.split(" ")[0] == "NOAUTH"


def test_password_opens(answers: dict[str, Any]) -> None:
    """Answers the application, which has the password.

    Remedy: `gad up` brings the password of both sides in step.
    """
    assert answers["ping"] is True


def test_account_cannot_administer(answers: dict[str, Any]) -> None:
    """The application's account cannot administer, flush, or touch foreign keys.

    Remedy: compare users.acl with what `gad up` writes.
    """
    assert answers["refused"] == [True, True, True]


def test_memory_is_limited(answers: dict[str, Any], outputs: StackOutputs) -> None:
    """Has a memory limit of its own, below the container's, and gives up cache entries first.

    Remedy: set redis.maxmemory_mib in the stack file below redis.memory_mib.
    """
    assert 0 < answers["maxmemory"] < outputs.containers["redis"].memory_mib * 1024**2
    assert answers["policy"] == "volatile-lru"


def test_streams_survive_a_restart(answers: dict[str, Any]) -> None:
    """Writes its append-only file, and the last write went well.

    Remedy: look at the free space of the volume and at the redis log.
    """
    assert (answers["aof"], answers["aof_ok"]) == (1, "ok")
