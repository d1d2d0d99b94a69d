from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.client import session
from infra.client.api import Api
from infra.client.session import Session
from infra.errors import GadError
from infra.operate.demo import Summary, _load
from infra.operate.district import STATIONS, cedula, district

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_same_seed_gives_the_same_bytes() -> None:
    once = "\n".join(officer.body(NOW).model_dump_json() for officer in district(300, 7))
    again = "\n".join(officer.body(NOW).model_dump_json() for officer in district(300, 7))
    other = "\n".join(officer.body(NOW).model_dump_json() for officer in district(300, 8))
    assert once == again != other


def test_a_longer_district_begins_with_the_shorter_one() -> None:
    assert [*district(500, 7)][:100] == [*district(100, 7)]


def test_ten_thousand_officers_look_real() -> None:
    officers = [*district()]
    assert len(officers) == 10_000
    for unique in ("internal_code", "email", "dni"):
        assert len({getattr(officer, unique) for officer in officers}) == 10_000, unique
    assert all(re.fullmatch(r"UIO-\d{5}", officer.internal_code) for officer in officers)
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+\.\d+@distrito\.example", officer.email) for officer in officers)
    assert all(re.fullmatch(r"\+5939\d{8}", officer.phone) for officer in officers)
    assert all(is_valid(officer.dni) for officer in officers)
    # Around Quito, a handful of kilometres from one of its stations.
    assert all(-0.36 < officer.lat < 0.02 and -78.60 < officer.lon < -78.31 for officer in officers)
    assert {officer.unit for officer in officers} == {f"UPC {station.name}" for station in STATIONS}
    ranks = Counter(officer.rank for officer in officers)
    assert ranks["Policía"] > ranks["Sargento segundo"] > ranks["Capitán"] > 0
    assert all(60 <= officer.seen_ago_s < 1200 for officer in officers)


def is_valid(number: str) -> bool:
    """The civil registry's rule, in the form that adds the check digit and wants a multiple of ten."""
    digits = [int(digit) for digit in number]
    weights = [2, 1, 2, 1, 2, 1, 2, 1, 2, 1]
    total = sum(sum(divmod(digit * weight, 10)) for digit, weight in zip(digits, weights, strict=True))
    return len(number) == 10 and 1 <= int(number[:2]) <= 24 and digits[2] < 6 and total % 10 == 0


def test_a_known_number_has_its_known_check_digit() -> None:
    assert cedula("17", 1003406) == "1710034065"  # the registry's own textbook example


@given(st.integers(1, 24), st.integers(0, 5_999_999))
def test_each_number_is_valid(province: int, serial: int) -> None:
    assert is_valid(cedula(f"{province:02d}", serial))


def test_the_body_is_what_the_api_takes() -> None:
    [officer] = district(1)
    body = json.loads(officer.body(NOW).model_dump_json(exclude_none=True))
    assert set(body) == {"internal_code", "rank", "unit", "specialty", "position", "person"}
    assert set(body["person"]) == {"email", "first_name", "last_name", "level", "dni", "phone"}
    assert datetime.fromisoformat(body["position"]["at"]) < NOW


def officer_answer(code: str) -> dict[str, object]:
    """As the API tells of an officer, with a member that the client does not know."""
    known = {"uuid": code, "user_id": code, "internal_code": code, "availability": "available"}
    return {**known, "position": None, "version": 1, "rank": None}


class FakeApi:
    """Answers as the API does, with a failure for the first calls if given."""

    def __init__(self, *failures: httpx.Response | Exception, present: int = 0) -> None:
        self.failures = list(failures)
        self.codes = [officer.internal_code for officer in district(present)]
        self.logins = self.creates = 0
        self.valid = ""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/login"):
            self.logins += 1
            self.valid = f"token-{self.logins}"
            return httpx.Response(
                200, json={"access_token": self.valid, "token_type": "Bearer", "expires_in": 900}
            )
        if request.headers["authorization"] != f"Bearer {self.valid}":
            return problem(401, "unauthenticated")
        if request.method == "GET":
            start = int(request.url.params.get("cursor", "0"))
            page = self.codes[start : start + 100]
            more = start + 100 < len(self.codes)
            items = [officer_answer(code) for code in page]
            return httpx.Response(
                200, json={"items": items, "next_cursor": str(start + 100) if more else None}
            )
        self.creates += 1
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure
        code = json.loads(request.content)["internal_code"]
        if code in self.codes:
            return problem(409, "internal_code_taken")
        self.codes.append(code)
        return httpx.Response(201, json=officer_answer(code))


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "detail": "…"}, headers=headers)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, without waiting."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(session.asyncio, "sleep", sleep)
    return waited


def run(fake: Callable[[httpx.Request], httpx.Response], count: int) -> Summary:
    client = httpx.AsyncClient(base_url="https://gad.example", transport=httpx.MockTransport(fake))
    api = Api(Session(client, "jefa@distrito.example", lambda: "x"))
    return asyncio.run(_load(api, count, 1830, lambda _: None))[0]


def counts(summary: Summary) -> tuple[int, int]:
    return summary.created, summary.present


def test_a_second_run_creates_nothing_and_an_interrupted_one_goes_on(waits: list[float]) -> None:
    fake = FakeApi(present=130)
    assert counts(run(fake, 250)) == (120, 130)
    assert counts(run(fake, 250)) == (0, 250)
    assert fake.creates == 120  # who is there is not even asked for
    assert waits == []


def test_a_busy_server_is_waited_for_as_it_asks(waits: list[float]) -> None:
    fake = FakeApi(problem(503, "unavailable", **{"Retry-After": "7"}), httpx.ConnectError("refused"))
    assert counts(run(fake, 3)) == (3, 0)
    assert len(waits) == 2
    assert max(waits) == 7.0


def test_an_answer_lost_on_the_way_counts_as_present(waits: list[float]) -> None:
    """The server created it, the answer was lost; the repeat is told 409."""
    fake = FakeApi()
    lost = [httpx.ReadTimeout("lost")]

    def losing(request: httpx.Request) -> httpx.Response:
        response = fake(request)
        if request.method == "POST" and response.status_code == 201 and lost:
            raise lost.pop()
        return response

    assert counts(run(losing, 3)) == (2, 1)
    assert len(fake.codes) == 3


def test_an_expired_token_is_renewed_once_by_all_workers(waits: list[float]) -> None:
    fake = FakeApi()
    expired = [True]

    def expiring(request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and len(fake.codes) == 20 and expired:
            expired.clear()
            fake.valid = "somebody else's"
        return fake(request)

    assert counts(run(expiring, 60)) == (60, 0)
    assert fake.logins == 2


@pytest.mark.parametrize(
    ("failures", "fact"),
    [
        ([problem(409, "email_taken")], "creating officer UIO-00001 was refused: 409 email_taken"),
        ([problem(403, "forbidden")], "creating officer UIO-00001 was refused: 403 forbidden"),
        ([httpx.Response(500, text="<html>")], "answered something else than expected"),
        (
            [httpx.ConnectError("refused")] * 8,
            "did not serve POST /api/v1/officers in 8 attempts (ConnectError",
        ),
    ],
    ids=["conflict", "forbidden", "not ours", "gone"],
)
def test_a_refusal_is_one_sentence(waits: list[float], failures: list[httpx.Response], fact: str) -> None:
    with pytest.raises(GadError) as caught:
        run(FakeApi(*failures), 1)
    assert fact in caught.value.fact
    assert caught.value.remedy
    assert max([*waits, 0]) <= 30
