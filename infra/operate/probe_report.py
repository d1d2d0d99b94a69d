"""What a prober saw of a stack, and what of it is a failure. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from infra.operate.bench_figure import percentile
from infra.operate.probe_mix import is_failed

BACK_S = 1.0  # specified (deploy's goals): so soon 99 of 100 clients are back


class Probed(NamedTuple):
    """One request. It was `due` and `ended` on the monotonic clock; `at`: when it was due, since the epoch.

    `seconds`: how long somebody waited, without what its own body took. `status` 0: no answer, `failure` says
    why. `phase`: the caller's word for what was going on when it was due, `until`: at its end.
    """

    kind: str
    due: float
    ended: float
    at: float
    seconds: float
    status: int
    failure: str
    slot: str
    phase: str
    until: str
    mark: str = ""

    @property
    def is_failed(self) -> bool:
        """Whether a healthy stack answers otherwise."""
        return is_failed(self.kind, self.status)

    @property
    def end(self) -> float:
        """When it ended, since the epoch."""
        return self.at + self.ended - self.due


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Count(_Part):
    """Requests, and those of them that failed."""

    sent: int
    failed: int


class Latency(_Part):
    """From when requests were due to their end, those that failed too: who waits for an error waits."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class Phase(_Part):
    """The requests that were due while it lasted."""

    requests: Count
    latency: Latency


class Failure(_Part):
    """A request that failed. `second`: of the run, when it was due; `phase`: two if another has begun."""

    at: datetime
    second: float
    phase: str
    kind: str
    what: str
    slot: str
    milliseconds: float


class Posts(_Part):
    """Tasks that were to be made. None was sent twice, so each is there once, or unknown and there or not.

    `unchecked` says why the API could not be asked for them; `left`: those that could not be removed.
    """

    sent: int
    acknowledged: int
    lost: int = 0
    doubled: int = 0
    unknown_there: int = 0
    left: int = 0
    unchecked: str = ""

    @property
    def unknown(self) -> int:
        """Those that nobody was told of: they may be there."""
        return self.sent - self.acknowledged

    @property
    def is_well(self) -> bool:
        """Whether what was promised is there."""
        return not (self.lost or self.doubled or self.unchecked)


class Sockets(_Part):
    """Clients of `/ws`. `received` and `closes` (by code) are of each client; `away`: not back at the end."""

    clients: int
    events: int
    received: tuple[int, ...]
    lost: int
    doubled: int
    gaps: int
    closes: tuple[dict[int, int], ...]
    backs_s: tuple[float, ...]
    away: int

    @property
    def is_well(self) -> bool:
        """Whether everybody heard each event once, and is there."""
        return not (self.lost or self.doubled or self.gaps or self.away)

    @property
    def codes(self) -> dict[int, int]:
        """Closes of all clients by code."""
        return dict(sorted(sum((Counter(each) for each in self.closes), Counter()).items()))

    @property
    def back_share(self) -> float | None:
        """Share of the returns that took up to `BACK_S`; None if nobody was cut off."""
        return sum(each <= BACK_S for each in self.backs_s) / len(self.backs_s) if self.backs_s else None


class Stretch(_Part):
    """Answers in a row from one slot; seconds of the run. Without a slot: the proxy's own answers."""

    slot: str
    since_s: float
    until_s: float
    answers: int


class Report(_Part):
    """A run of the prober."""

    began: datetime
    seconds: float
    requests: Count
    kinds: dict[str, Count]
    latency: Latency | None  # None: nothing was due
    phases: dict[str, Phase]
    failures: tuple[Failure, ...]
    posts: Posts
    sockets: Sockets
    slots: tuple[Stretch, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing failed, was lost or came twice. A closed socket that is back is no failure."""
        return not self.failures and self.posts.is_well and self.sockets.is_well


@dataclass(frozen=True)
class Found:
    """What the API has of a run's tasks: a title as often as it is listed; or why it could not be asked."""

    titles: Collection[str] = ()
    left: int = 0
    unchecked: str = ""


def report(
    probed: Sequence[Probed], found: Found, sockets: Sockets, *, began: datetime, seconds: float
) -> Report:
    """From every request of a run, in the order of their ends, and what was found afterwards."""
    phases = {name: [each for each in probed if each.phase == name] for name in _in_order(probed)}
    kinds = sorted({each.kind for each in probed})
    return Report(
        began=began,
        seconds=round(seconds, 3),
        requests=_count(probed),
        kinds={kind: _count([each for each in probed if each.kind == kind]) for kind in kinds},
        latency=_latency(probed) if probed else None,
        phases={
            name: Phase(requests=_count(these), latency=_latency(these)) for name, these in phases.items()
        },
        failures=tuple(_failure(each, began) for each in sorted(probed, key=_due) if each.is_failed),
        posts=posts([each for each in probed if each.mark], found),
        sockets=sockets,
        slots=_stretches(probed, began),
    )


def posts(sent: Sequence[Probed], found: Found) -> Posts:
    """Whether each task that was acknowledged is there, and none twice."""
    acknowledged = {each.mark for each in sent if not each.is_failed}
    numbers = {"sent": len(sent), "acknowledged": len(acknowledged), "left": found.left}
    if found.unchecked:
        return Posts(**numbers, unchecked=found.unchecked)
    there = Counter(found.titles)
    return Posts(
        **numbers,
        lost=len(acknowledged - there.keys()),
        doubled=sum(times - 1 for times in there.values()),
        unknown_there=len(there.keys() - acknowledged),
    )


def heard(
    events: int,
    *,
    received: Sequence[int],
    doubled: Sequence[int],
    gaps: int,
    closes: Iterable[Mapping[int, int]],
    backs_s: Iterable[float],
    away: int,
) -> Sockets:
    """From what each client counted; what is lost is counted from what was sent, so that no end hides one."""
    return Sockets(
        clients=len(received),
        events=events,
        received=tuple(received),
        lost=sum(max(0, events - (n - twice)) for n, twice in zip(received, doubled, strict=True)),
        doubled=sum(doubled),
        gaps=gaps,
        closes=tuple(dict(each) for each in closes),
        backs_s=tuple(round(each, 3) for each in backs_s),
        away=away,
    )


def _due(probed: Probed) -> float:
    return probed.due


def _in_order(probed: Iterable[Probed]) -> list[str]:
    """The phases as they were gone through."""
    return list(dict.fromkeys(each.phase for each in sorted(probed, key=_due)))


def _count(probed: Sequence[Probed]) -> Count:
    return Count(sent=len(probed), failed=sum(each.is_failed for each in probed))


def _latency(probed: Sequence[Probed]) -> Latency:
    milliseconds = [each.seconds * 1000 for each in probed]
    p50, p95, p99 = (round(percentile(milliseconds, share), 1) for share in (0.5, 0.95, 0.99))
    return Latency(p50_ms=p50, p95_ms=p95, p99_ms=p99, max_ms=round(max(milliseconds), 1))


def _failure(probed: Probed, began: datetime) -> Failure:
    return Failure(
        at=datetime.fromtimestamp(probed.at, UTC),
        second=_second(probed.at, began),
        phase=probed.phase if probed.phase == probed.until else f"{probed.phase} → {probed.until}",
        kind=probed.kind,
        what=probed.failure or str(probed.status),
        slot=probed.slot,
        milliseconds=round(probed.seconds * 1000, 1),
    )


def _second(at: float, began: datetime) -> float:
    return round(at - began.timestamp(), 3)


def _stretches(probed: Sequence[Probed], began: datetime) -> tuple[Stretch, ...]:
    answered = [each for each in probed if each.status]
    rows = [(slot, [*these]) for slot, these in groupby(answered, key=lambda each: each.slot)]
    return tuple(
        Stretch(
            slot=slot,
            since_s=_second(these[0].end, began),
            until_s=_second(these[-1].end, began),
            answers=len(these),
        )
        for slot, these in rows
    )
