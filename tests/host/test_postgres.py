"""The database: PostGIS works, accounts have no more rights than they need."""

from __future__ import annotations

import json
from typing import Any

import pytest
from engine import Engine

from infra.operate.outputs import StackOutputs

SUBJECT = "postgres"

QUESTIONS = """
SELECT json_build_object(
  'metres', ST_Distance('POINT(0 0)'::geography, 'POINT(1 0)'::geography),
  'postgis', left(postgis_lib_version(), 2),
  'major', current_setting('server_version_num')::int / 10000,
  'extensions', (SELECT json_agg(extname ORDER BY extname) FROM pg_extension),
  'roles', (SELECT json_object_agg(rolname,
      array_remove(ARRAY[CASE WHEN rolsuper THEN 'superuser' END, CASE WHEN rolcreatedb THEN 'createdb' END,
        CASE WHEN rolcreaterole THEN 'createrole' END, CASE WHEN rolreplication THEN 'replication' END,
        CASE WHEN rolbypassrls THEN 'bypassrls' END], NULL) ORDER BY rolname)
    FROM pg_roles WHERE rolcanlogin),
  'owner', (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'gad'),
  'weak', (SELECT coalesce(json_agg(rolname), '[]') FROM pg_authid
    WHERE rolcanlogin AND coalesce(rolpassword, '') NOT LIKE 'SCRAM-SHA-256$%'),
  'ddl', has_schema_privilege('gad_app', 'public', 'CREATE'),
  'owned', (SELECT count(*) FROM pg_class WHERE relowner = 'gad_app'::regrole),
  'checksums', current_setting('data_checksums'),
  'ssl', current_setting('ssl'),
  'protocols', (SELECT json_agg(DISTINCT coalesce(version, 'clear text'))
    FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE client_addr IS NOT NULL),
  'durable', array_agg(current_setting(name) ORDER BY name)
) FROM unnest(ARRAY['fsync', 'full_page_writes', 'synchronous_commit']) AS name
"""


@pytest.fixture(scope="session")
def answers(engine: Engine) -> dict[str, Any]:
    inside = engine.running("postgres").inside
    found: dict[str, Any] = json.loads(inside.check_output("psql -XAtq -U postgres -d gad -c %s", QUESTIONS))
    return found


def test_postgis_measures(answers: dict[str, Any]) -> None:
    """PostGIS measures one degree of the equator: 111,319.49 m on WGS 84.

    Remedy: `CREATE EXTENSION postgis` is part of the database's first start; look at the postgres log.
    """
    assert answers["metres"] == pytest.approx(111_319.4908, abs=0.001)  # a * pi / 180, a = 6,378,137 m


def test_versions(answers: dict[str, Any]) -> None:
    """Runs PostgreSQL 17 with PostGIS 3.

    Remedy: the image is another one; `gad images list` shows what is built.
    """
    assert (answers["major"], answers["postgis"]) == (17, "3.")


def test_extensions(answers: dict[str, Any]) -> None:
    """Exactly the needed extensions are installed.

    Remedy: drop what was added by hand; what is missing belongs to the first start (config/images/postgres).
    """
    assert answers["extensions"] == ["btree_gist", "citext", "pg_trgm", "plpgsql", "postgis"]


def test_accounts(answers: dict[str, Any]) -> None:
    """Only `postgres` is a superuser; the application's two accounts have no attribute at all.

    Remedy: `ALTER ROLE … NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS`, or drop the account.
    """
    assert answers["roles"] == {
        "gad_app": [],
        "gad_owner": [],
        "postgres": ["superuser", "createdb", "createrole", "replication", "bypassrls"],
    }


def test_passwords_are_scram(answers: dict[str, Any]) -> None:
    """Every account has a password, stored as a SCRAM verifier.

    Remedy: restart the container after changing the secret; it sets the passwords anew.
    """
    assert answers["weak"] == []


def test_application_cannot_change_the_schema(answers: dict[str, Any]) -> None:
    """The application's account owns nothing and cannot create anything; the schema belongs to its owner.

    Remedy: `REVOKE CREATE ON SCHEMA public FROM gad_app`; give what it owns to gad_owner.
    """
    assert (answers["ddl"], answers["owned"], answers["owner"]) == (False, 0, "gad_owner")


def test_data_is_durable(answers: dict[str, Any]) -> None:
    """Checksums are on, and no commit is lost for speed.

    Remedy: compare postgresql.conf with its template; `gad up` puts it back.
    """
    assert (answers["checksums"], answers["durable"]) == ("on", ["on", "on", "on"])


# Whether postgres.tls is declared → what the server says of itself, and of every session over the network.
ENCRYPTION = {True: ("on", ["TLSv1.3"]), False: ("off", ["clear text"])}
CLEAR_TEXT = {True: "no encryption", False: "no password supplied"}


def test_sessions_are_encrypted(answers: dict[str, Any], outputs: StackOutputs) -> None:
    """Every session over the network is encrypted, if that is declared.

    Remedy: compare postgresql.conf with its template and the API's slot with its release; `gad up` puts
    both back.
    """
    assert (answers["ssl"], answers["protocols"]) == ENCRYPTION[outputs.postgres_tls]


def test_clear_text_is_refused(engine: Engine, outputs: StackOutputs) -> None:
    """Nobody gets in without encryption, if it is declared.

    Remedy: compare pg_hba.conf with its template; `gad up` puts it back.
    """
    inside = engine.running("postgres").inside
    wanted = "host=postgres user=gad_app dbname=gad sslmode=disable"
    answer = inside.run("psql -Xw %s -c 'SELECT 1'", wanted)
    assert (answer.rc, [each for each in CLEAR_TEXT.values() if each in answer.stderr]) == (
        2,
        [CLEAR_TEXT[outputs.postgres_tls]],
    )


@pytest.mark.parametrize("account", ["gad_app", "gad_owner", "postgres"])
def test_a_password_is_needed(engine: Engine, outputs: StackOutputs, account: str) -> None:
    """Nobody gets in over the network without a password, and the superuser or a third machine not at all.

    Remedy: compare pg_hba.conf with its template; `gad up` puts it back.
    """
    inside = engine.running("postgres").inside
    answer = inside.run("psql -Xw -h postgres -U %s -d gad -c 'SELECT 1'", account)
    refusals = ("no password supplied", "no pg_hba.conf entry")
    expected = REFUSAL[account] if outputs.data_server is None else "no pg_hba.conf entry"
    assert (answer.rc, [each for each in refusals if each in answer.stderr]) == (2, [expected])


REFUSAL = {
    "gad_app": "no password supplied",
    "gad_owner": "no password supplied",
    "postgres": "no pg_hba.conf entry",
}
