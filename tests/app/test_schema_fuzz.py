"""The running API against its own OpenAPI document: whatever is sent, it answers as it says, and never 500.

schemathesis sends examples, the corners of every schema, random data, and chains of requests that use what
earlier ones answered; as an administrator and as an officer. GAD_TEST_LONG=1: 5,000 requests and more each
(product contract, section 17).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bodies
import pytest
from served import Served, environment, run, served
from stores import Stores

IS_LONG = bool(os.environ.get("GAD_TEST_LONG"))
EXAMPLES = 60 if IS_LONG else 6  # per operation and phase
LEAST_CASES = 5000 if IS_LONG else 500
LIMIT_S = 1500 if IS_LONG else 150
# They end the caller's session, or their account: they are tried apart, where nothing comes after.
ENDINGS = r"/auth/(logout|logout-all|password)$"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "ignored_auth",
)
EMAIL, OFFICER = "jefa@distrito.example", "efectiva@distrito.example"
PASSWORD = "ocho caballos verdes"  # pragma: allowlist secret
# For one task each: what is done with it.
STEPS = ((), ("start",), ("start", "pause"), ("start", "finish"), ("cancel",), ())


@dataclass(frozen=True)
class Subject:
    """A running API with two callers, and ids of what is there."""

    api: Served
    tokens: dict[int, str]
    ids: dict[str, list[str]]


@pytest.fixture(scope="module")
def subject(
    stores: Stores, new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subject]:
    scratch = tmp_path_factory.mktemp("fuzz")
    url = scratch / "url"
    url.write_text(stores.dsn("gad_app", new_database("gad_head")))
    env = environment(stores, scratch, GAD_DATABASE_URL_FILE=str(url))
    names = ("--email", EMAIL, "--first-name", "Rosa", "--last-name", "Loor")
    made = run("admin", "create", *names, env=env, stdin=PASSWORD)
    assert made.returncode == 0, made.stderr
    with served(env, scratch) as api:
        yield populated(api)


def populated(api: Served) -> Subject:
    """An administrator, an officer who can log in, others who can be sent, tasks of each status."""
    chief = token(api, EMAIL)
    headers = {"Authorization": f"Bearer {chief}"}

    def create(path: str, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
        answer = api.public.post(f"/api/v1{path}", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    people = [bodies.officer() for _ in range(6)]
    people[0]["person"] |= {"email": OFFICER, "password": PASSWORD}
    officers = [create("/officers", body) for body in people]
    tasks = []
    for officer, steps in zip(officers, STEPS, strict=True):
        body = {"title": "Una tarea para probar", "type": "patrol", "officers": [officer["uuid"]]}
        tasks.append(create("/tasks", {**body, "delegate": officers[0]["user_id"]}))
        for step in steps:
            create(
                f"/tasks/{tasks[-1]['uuid']}/{step}", {"reason": "Prueba"} if step == "cancel" else {}, 200
            )
    ids = {
        "officer_id": [each["uuid"] for each in officers],
        "user_id": [each["user_id"] for each in officers],
        "task_id": [each["uuid"] for each in tasks],
    }
    return Subject(api, {3: chief, 1: token(api, OFFICER)}, ids)


def token(api: Served, email: str) -> str:
    answer = api.public.post("/api/v1/auth/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


@dataclass(frozen=True)
class Report:
    """What a run of schemathesis found."""

    cases: int
    tested: int
    selected: int
    failures: list[str]
    output: str


def fuzz(subject: Subject, level: int, scratch: Path, *options: str) -> Report:
    """Try the API as the caller of a level; the seed is fixed, so that a failure can be repeated."""
    report = scratch / "report.json"
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run"),
        f"{subject.api.public.base_url}/openapi.json",
        *("--header", f"Authorization: Bearer {subject.tokens[level]}", "--checks", ",".join(CHECKS)),
        *("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", str(EXAMPLES)),
        *("--seed", "1830", "--no-color", "--no-shrink", "--continue-on-failure", "--warnings", "off"),
        *("--request-timeout", "10", "--report", "json", "--report-json-path", str(report)),
        *options,
    ]
    hooks = {
        "SCHEMATHESIS_HOOKS": "fuzz_hooks",
        "PYTHONPATH": str(Path(__file__).parent),
        "GAD_FUZZ_IDS": json.dumps(subject.ids),
    }
    done = subprocess.run(
        command,
        cwd=scratch,
        env={**os.environ, **hooks},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    output = done.stdout + done.stderr
    assert report.exists(), output
    found = json.loads(report.read_text())
    assert found["complete"], output
    return Report(
        cases=found["test_cases"]["generated"],
        tested=found["operations"]["tested"],
        selected=found["operations"]["selected"],
        failures=found["failures"],
        output=output,
    )


def is_signed_in(subject: Subject, level: int) -> bool:
    headers = {"Authorization": f"Bearer {subject.tokens[level]}"}
    return subject.api.public.get("/api/v1/users/me", headers=headers).status_code == 200


def bugs(log: Path) -> list[str]:
    """Where unexpected exceptions came from, as the log has them."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [json.dumps(line)[-600:] for line in lines if line["message"] == "unexpected failure"]


@pytest.mark.parametrize("level", [3, 1])
def test_the_api_does_what_its_document_says(subject: Subject, tmp_path: Path, level: int) -> None:
    report = fuzz(subject, level, tmp_path, "--exclude-path-regex", ENDINGS)
    assert report.failures == [], report.output
    assert bugs(subject.api.log) == []
    assert report.tested == report.selected > 30
    assert report.cases >= LEAST_CASES
    assert is_signed_in(subject, level)  # else all of it was 401, and nothing was tried


def test_ways_out_do_what_the_document_says(subject: Subject, tmp_path: Path) -> None:
    report = fuzz(subject, 1, tmp_path, "--include-path-regex", ENDINGS)
    assert report.failures == [], report.output
    assert report.tested == report.selected == 3
