"""The demo's work: the same for a seed, in every status, and such as the API takes."""

from __future__ import annotations

import re
import stat
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from infra.operate.demo_work import accounts_in
from infra.operate.district_work import STATUSES, STEPS, emergencies, tasks

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALL = {"programmed", "in_progress", "paused", "finished", "cancelled"}


def test_the_same_seed_gives_the_same_work_and_more_officers_more_of_it() -> None:
    assert [*tasks(10_000, 7)] == [*tasks(10_000, 7)] != [*tasks(10_000, 8)]
    assert [*tasks(10_000, 7)][:10] == [*tasks(400, 7)]
    assert (len([*tasks(10_000)]), len([*tasks(6)]), len([*tasks(1)])) == (250, 3, 0)


def test_every_status_is_among_the_first_ten_and_can_be_reached() -> None:
    assert {task.status for task in tasks(400)} == ALL == set(STATUSES[:10])
    assert {wanted for now, wanted in STEPS if now == "programmed"} == ALL - {"programmed"}


def test_the_api_takes_each_task() -> None:
    made = [*tasks(10_000)]
    bodies = [task.body(NOW, ("o",), "u") for task in made]
    assert all(
        re.fullmatch(r"DEM-\d{5}", body.code or "") and 10 <= len(body.title) <= 100 for body in bodies
    )
    windows = [(body.planned_start, body.planned_end) for body in bodies]
    assert all(start is not None and end is not None and start < end for start, end in windows)
    assert max(Counter(number for task in made for number in task.crew).values()) == 1  # nobody is at two


def test_emergencies_keep_their_keys() -> None:
    assert [key for key, _ in emergencies(7)] == [key for key, _ in emergencies(8)]
    assert len({body.title for _, body in emergencies()}) == 3


def test_accounts_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "demo-people.json"
    made = accounts_in(path)
    assert (sorted(made), accounts_in(path)) == ([1, 2], made)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len({account.password for account in made.values()}) == 2
