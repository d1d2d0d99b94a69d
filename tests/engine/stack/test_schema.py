"""The schema by hand: the same program and image as in an update, and nothing is left behind."""

from __future__ import annotations

import docker

from tests.engine.stack.checkout import STACK, Checkout


def psql(checkout: Checkout, client: docker.DockerClient, statement: str) -> None:
    container = client.containers.get(checkout.containers(client)["postgres"])
    command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "gad", "-c", statement]
    status, said = container.exec_run(command)
    assert status == 0, said


def test_the_schema_is_shown_and_brought_to_the_image(
    checkout: Checkout, client: docker.DockerClient
) -> None:
    before = checkout.containers(client)
    assert "(head)" in checkout.gad("db", "current", STACK).succeeded().out
    assert "schema was at" in checkout.gad("db", "upgrade", STACK).succeeded().out
    assert checkout.containers(client) == before


def test_a_schema_changed_by_hand_is_named(checkout: Checkout, client: docker.DockerClient) -> None:
    assert "equals the models" in checkout.gad("db", "check", STACK).succeeded().out
    psql(checkout, client, "ALTER TABLE officers ADD COLUMN by_hand text")
    try:
        assert "by_hand" in checkout.gad("db", "check", STACK).failed(3).out
    finally:
        psql(checkout, client, "ALTER TABLE officers DROP COLUMN by_hand")
    assert "equals the models" in checkout.gad("db", "check", STACK).succeeded().out


def test_the_steps_to_come_are_judged(checkout: Checkout, client: docker.DockerClient) -> None:
    assert "no statements refused" in checkout.gad("db", "lint", STACK).succeeded().out
    psql(checkout, client, "CREATE TABLE kept AS SELECT version_num FROM alembic_version")
    try:
        psql(checkout, client, "UPDATE alembic_version SET version_num = '0001'")
        assert checkout.gad("db", "lint", STACK, "--json").succeeded().out.strip() == "[]"
        psql(checkout, client, "UPDATE alembic_version SET version_num = 'later'")
        assert "is at later, which" in checkout.gad("db", "lint", STACK).failed(1).err
    finally:
        psql(checkout, client, "UPDATE alembic_version SET version_num = (SELECT version_num FROM kept)")
        psql(checkout, client, "DROP TABLE kept")
