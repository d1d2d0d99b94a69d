"""The running API against its own OpenAPI document: whatever is sent, it answers as it says, and never 500.

schemathesis sends examples, the corners of every schema, random data, and chains of requests that use what
earlier ones answered; as an administrator and as an officer. GAD_TEST_LONG=1: 5,000 requests and more each
(product contract, section 17).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bodies
import httpx
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
COUNT = re.compile(
    r'^gad_http_requests_total\{method="(?P<method>[A-Z]+)",route="(?P<route>[^"]+)",status="(?P<status>\d+)"\}'
    r" (?P<count>\S+)$",
    re.MULTILINE,
)
NEAR, SPARE = 12, 6  # officers without a task, who can be sent to emergencies and who cannot
UNREACHED = {"POST /api/v1/auth/refresh"}  # its only input is a cookie
# For one task each: what is done with it. Many are left as they are, as requests delete and end them.
STEPS = (("start",), ("start", "pause"), ("start", "finish"), ("cancel",), *[()] * 2 * EXAMPLES)


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

    position = {"lat": -0.2, "lon": -78.5, "at": datetime.now(UTC).isoformat()}
    people = [bodies.officer(position=position) for _ in range(len(STEPS) + NEAR + SPARE)]
    for body in people[-SPARE:]:
        del body["position"]  # else they are all sent to emergencies
    people[0]["person"] |= {"email": OFFICER, "password": PASSWORD}
    officers = [create("/officers", body) for body in people]
    shift = {"starts_at": "2031-01-01T08:00:00Z", "ends_at": "2031-01-01T16:00:00Z"}
    # Of those with a task: who has shifts can be sent to an emergency during one alone.
    shifts = [create(f"/officers/{each['uuid']}/shifts", shift) for each in officers[: len(STEPS)]]
    tasks = []
    for officer, steps in zip(officers, STEPS, strict=False):
        body = {"title": "Una tarea para probar", "type": "patrol", "officers": [officer["uuid"]]}
        tasks.append(create("/tasks", {**body, "delegate": officers[0]["user_id"]}))
        for step in steps:
            create(
                f"/tasks/{tasks[-1]['uuid']}/{step}", {"reason": "Prueba"} if step == "cancel" else {}, 200
            )
    ids = {
        "own_officer": [officers[0]["uuid"]],
        "spare_officer": [each["uuid"] for each in officers[-SPARE:]],
        "officer_id": [each["uuid"] for each in officers[: len(STEPS)]],
        "user_id": [each["user_id"] for each in officers],
        "task_id": [each["uuid"] for each in tasks],
        "shift_id": [each["uuid"] for each in shifts],
    }
    mine = {"Authorization": f"Bearer {token(api, OFFICER)}"}
    consent = {"purpose": "location_sharing", "granted": True}
    assert api.public.post("/api/v1/privacy/consents", json=consent, headers=mine).status_code == 201
    # The officer first: an administrator deletes people.
    return Subject(api, {1: token(api, OFFICER), 3: chief}, ids)


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
    was_signed_in: bool  # at its end: else all of it was 401, and nothing was tried
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
        "GAD_FUZZ_SELF": me(subject, level).json()["uuid"],
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
        was_signed_in=me(subject, level).status_code == 200,
        output=output,
    )


def me(subject: Subject, level: int) -> httpx.Response:
    headers = {"Authorization": f"Bearer {subject.tokens[level]}"}
    return subject.api.public.get("/api/v1/users/me", headers=headers)


def bugs(log: Path) -> list[str]:
    """Where unexpected exceptions came from, as the log has them."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [json.dumps(line)[-600:] for line in lines if line["message"] == "unexpected failure"]


@pytest.fixture(scope="module")
def reports(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Report]:
    """A run for each caller."""
    return {
        level: fuzz(subject, level, tmp_path_factory.mktemp("report"), "--exclude-path-regex", ENDINGS)
        for level in subject.tokens
    }


@pytest.mark.parametrize("level", [3, 1])
def test_the_api_does_what_its_document_says(
    subject: Subject, reports: dict[int, Report], level: int
) -> None:
    report = reports[level]
    assert report.failures == [], report.output
    assert bugs(subject.api.log) == []
    assert report.tested == report.selected > 50
    assert report.cases >= LEAST_CASES
    assert report.was_signed_in


@pytest.mark.usefixtures("reports")
def test_each_route_was_reached(subject: Subject) -> None:
    """Refusals alone would prove little: what each route is for was done at least once."""
    metrics = subject.api.private.get("/metrics").text
    served = {
        f"{found['method']} {found['route']}"
        for found in COUNT.finditer(metrics)
        if found["status"].startswith("2") and float(found["count"]) > 0
    }
    document = subject.api.public.get("/openapi.json").json()
    wanted = {f"{method.upper()} {path}" for path, each in document["paths"].items() for method in each}
    missed = {each for each in wanted - served if not re.search(ENDINGS, each)}
    assert missed <= UNREACHED


def test_ways_out_do_what_the_document_says(subject: Subject, tmp_path: Path) -> None:
    """As somebody new: an administrator's requests may have deleted the officer of the others."""
    body = bodies.officer()
    body["person"] |= {"email": "nueva@distrito.example", "password": PASSWORD}
    # The token that there is: guesses at the password may have locked the account by now.
    headers = {"Authorization": f"Bearer {subject.tokens[3]}"}
    made = subject.api.public.post("/api/v1/officers", json=body, headers=headers)
    assert made.status_code == 201, made.text
    newcomer = replace(subject, tokens={1: token(subject.api, body["person"]["email"])})
    report = fuzz(newcomer, 1, tmp_path, "--include-path-regex", ENDINGS)
    assert report.failures == [], report.output
    assert report.tested == report.selected == 3
