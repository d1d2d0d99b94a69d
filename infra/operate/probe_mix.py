"""What the prober sends: the ways in which people use a stack, each of them able to break on its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from random import Random
from uuid import uuid4

from infra.client import work
from infra.client.people import OFFICERS
from infra.operate.district import STATIONS
from infra.operate.open_loop import Request

# Per cent. Chosen: reads on connections that stay and on new ones, a third writes as in deploy's own
# measurements, and of slow and large bodies so many that at 50/s one or two are always under way. The API
# counts a slow body's time as its own: more than 5 % of them, and a release would take its version back.
SHARES = {"list": 20, "map": 16, "nearest": 16, "fresh": 15, "create": 28, "slow": 2, "upload": 3}
TRICKLE_S = (0.5, 3.0)  # specified: slow requests take so long
UPLOAD_BYTES = (300_000, 900_000)  # chosen: below the 1 MB that the proxy and the API take
ANSWERS = {"create": 201, "slow": 201, "upload": 201}  # of the others: 200
TITLE = "Sonda"


@dataclass(frozen=True)
class Mix:
    """Requests without an end, no two alike; each task of the run `name` has a title of its own, its mark."""

    name: str
    token: Callable[[], str]  # asked at each request: a run may last longer than a token
    seed: int = 1

    @property
    def prefix(self) -> str:
        """What all titles of this run begin with, and no others."""
        return f"{TITLE} {self.name}"

    def __iter__(self) -> Iterator[Request]:
        """One after the other; the same seed gives the same order."""
        chance = Random(self.seed)  # noqa: S311 - an order, no secret
        kinds, weights = [*SHARES], [*SHARES.values()]
        for number in count():
            kind = chance.choices(kinds, weights)[0]
            bearer = ("Authorization", f"Bearer {self.token()}")
            if kind in ANSWERS:
                yield self._task(kind, number, chance, bearer)
            else:
                path = self._path(kind, chance)
                yield Request(kind, "GET", path, headers=(bearer,), is_alone=kind == "fresh")

    def _path(self, kind: str, chance: Random) -> str:
        station = chance.choice(STATIONS)
        around = f"lat={station.lat}&lon={station.lon}"
        paths = {
            "list": f"{work.TASKS}?limit=20",
            "map": f"/api/v1/map?{around}&radius_m=2000",
            "nearest": f"{OFFICERS}/nearest?{around}&limit=5",
        }
        return paths[chance.choice([*paths]) if kind == "fresh" else kind]

    def _task(self, kind: str, number: int, chance: Random, bearer: tuple[str, str]) -> Request:
        station, title = chance.choice(STATIONS), f"{self.prefix} {number:07}"
        where = {"lat": station.lat, "lon": station.lon}
        body = json.dumps({"title": title, "type": "patrol", "location": where}).encode()
        return Request(
            kind,
            "POST",
            work.TASKS,
            body.ljust(chance.randint(*UPLOAD_BYTES)) if kind == "upload" else body,
            (bearer, ("Idempotency-Key", uuid4().hex)),
            mark=title,
            trickle_s=chance.uniform(*TRICKLE_S) if kind == "slow" else 0.0,
        )


def is_failed(kind: str, status: int) -> bool:
    """Whether it is not what a healthy stack answers; 0 is no answer, and a refusal is a failure too."""
    return status != ANSWERS.get(kind, 200)
