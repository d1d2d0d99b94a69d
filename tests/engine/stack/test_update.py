"""What an update changes, and what it leaves alone."""

from __future__ import annotations

import json
import os
import re

import docker
import pytest

from tests.engine.stack.checkout import STACK, Checkout

CHANGED = re.compile(r"^ (?:\+\+|\+-|--|~|\+|-) +\S+ (\S+) (?!refresh)", re.MULTILINE)


STEPS = {f"release-{step}" for step in ("park", "smoke", "route", "bake", "record")}
MIGRATION = {"backup-take", *(f"migration-{step}" for step in ("gate", "lint", "rehearsal", "run"))}
ROLES = ("postgres", "redis", "proxy", "api-blue", "api-green")
# Each role once in the tests, each in both ways in the soak.
LOST = [(role, ("stop", "rm")[n % 2]) for n, role in enumerate(ROLES)]
if os.environ.get("GAD_TEST_LONG"):
    LOST = [(role, how) for role in ROLES for how in ("stop", "rm")]


def changed(preview: str) -> set[str]:
    """Logical names of the resources that a preview wants to change."""
    return set(CHANGED.findall(preview))


def done(err: str) -> set[str]:
    """Logical names of the resources that `gad up` says it changed."""
    return {line.split()[1] for line in err.splitlines() if line[:1] in "+~-±="}


def test_a_second_preview_is_empty_also_after_a_refresh(checkout: Checkout) -> None:
    assert changed(checkout.pulumi("preview").succeeded().out) == set()
    assert changed(checkout.pulumi("preview", "--refresh", "--expect-no-changes").succeeded().out) == set()


def test_a_second_up_changes_nothing(checkout: Checkout, client: docker.DockerClient) -> None:
    before = checkout.containers(client)
    assert done(checkout.gad("up", STACK, "--no-verify").succeeded().err) == set()
    assert checkout.containers(client) == before


@pytest.mark.parametrize(("role", "how"), LOST)
def test_a_container_lost_by_hand_is_restored_alone(
    checkout: Checkout, client: docker.DockerClient, role: str, how: str
) -> None:
    before = checkout.containers(client)
    container = client.containers.get(before[role])
    {"stop": lambda: container.stop(timeout=10), "rm": lambda: container.remove(force=True)}[how]()
    touched = done(checkout.gad("up", STACK, "--no-verify").succeeded().err)
    expected = {"stop": {f"{role}-server"}, "rm": {f"{role}-server", f"{role}-server-pids"}}
    assert touched == expected[how]
    after = checkout.containers(client)
    assert {r for r in after if after[r] != before[r]} == {"stop": set(), "rm": {role}}[how]
    assert client.containers.get(after[role]).attrs["State"]["Health"]["Status"] == "healthy"


def test_a_new_image_replaces_the_idle_slot_and_turns_the_route(
    checkout: Checkout, client: docker.DockerClient
) -> None:
    live = checkout.pulumi("stack", "output", "live").succeeded().out.strip()
    idle = {"blue": "green", "green": "blue"}[live]
    source = checkout.root / "app" / "__init__.py"
    before_text, before = source.read_text(), checkout.containers(client)
    source.write_text(before_text + "# one line more\n")
    checkout.gad("images", "build", "app").succeeded()
    release = {"images-app", *MIGRATION, *STEPS, f"api-{idle}-server", f"api-{idle}-server-pids"}
    assert changed(checkout.pulumi("preview").succeeded().out) == release
    assert done(checkout.gad("up", STACK, "--no-verify").succeeded().err) == release
    after = checkout.containers(client)
    assert {role for role in after if after[role] != before[role]} == {f"api-{idle}"}
    assert checkout.pulumi("stack", "output", "live").succeeded().out.strip() == idle
    source.write_text(before_text)
    checkout.gad("images", "build", "app").succeeded()
    # The other slot still has that image: the way back is the route alone.
    back = changed(checkout.pulumi("preview").succeeded().out)
    assert back == {"images-app", *STEPS}
    assert not {name for name in back if name.startswith("api-")}
    checkout.gad("up", STACK, "--no-verify").succeeded()
    assert checkout.containers(client) == after


EDITS: tuple[tuple[str, object, set[str]], ...] = (
    ("redis.memory_mib", 288, {"redis-server"}),
    ("postgres.pids", 300, {"postgres-server-pids"}),
    ("proxy.hsts", True, {"proxy-config-write", "proxy-server", "proxy-server-pids"}),
)


def test_an_edit_changes_what_its_preview_names(checkout: Checkout) -> None:
    original = checkout.stack_file.read_text()
    try:
        for key, value, expected in EDITS:  # one upon the other
            checkout.edit(key, value)
            assert changed(checkout.pulumi("preview").succeeded().out) == expected
            assert done(checkout.gad("up", STACK, "--no-verify").succeeded().err) == expected
        assert changed(checkout.pulumi("preview", "--refresh").succeeded().out) == set()
    finally:
        checkout.stack_file.write_text(original)
        checkout.gad("up", STACK, "--no-verify").succeeded()


def test_a_setting_of_the_api_is_a_release_of_the_idle_slot(
    checkout: Checkout, client: docker.DockerClient
) -> None:
    live = checkout.pulumi("stack", "output", "live").succeeded().out.strip()
    idle = {"blue": "green", "green": "blue"}[live]
    original = checkout.edit("api.log_level", "WARNING")
    expected = {f"api-{idle}-server", f"api-{idle}-server-pids", *STEPS}
    try:
        assert changed(checkout.pulumi("preview").succeeded().out) == expected
        assert done(checkout.gad("up", STACK, "--no-verify").succeeded().err) == expected
        envs = client.containers.get(checkout.containers(client)[f"api-{idle}"]).attrs["Config"]["Env"]
        assert "GAD_LOG_LEVEL=WARNING" in envs
    finally:
        checkout.stack_file.write_text(original)
        checkout.gad("up", STACK, "--no-verify").succeeded()


def test_down_keeps_the_data_and_up_finds_it(checkout: Checkout, client: docker.DockerClient) -> None:
    def officers() -> str:
        server = client.containers.get(checkout.containers(client)["postgres"])
        query = ["psql", "-U", "postgres", "-d", "gad", "-Atc", "SELECT count(*) FROM officers"]
        answer = server.exec_run(query)
        assert answer.exit_code == 0, answer.output
        return str(answer.output.decode().strip())

    checkout.gad("demo", STACK, "--count", "25", "--json").succeeded()
    before = officers()
    assert int(before) >= 25
    checkout.gad("down", STACK).succeeded()
    assert checkout.containers(client) == {}
    checkout.gad("up", STACK, "--no-verify").succeeded()
    assert officers() == before


def test_the_demo_may_be_run_again(checkout: Checkout) -> None:
    checkout.gad("demo", STACK, "--count", "30", "--json").succeeded()
    again = json.loads(checkout.gad("demo", STACK, "--count", "30", "--json").succeeded().out)
    assert (again["created"], again["present"]) == (0, 30)
