"""What a prober saw, for people."""

from __future__ import annotations

from collections import Counter

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from infra.operate.probe import Progress
from infra.operate.probe_report import Count, Latency, Report

MOST = 8  # kinds of failure that fit a screen; --json has each one


def line(progress: Progress) -> str:
    """How it goes, while it goes."""
    away = f", {progress.away} sockets away" if progress.away else ""
    return (
        f"{progress.requests:,} requests, {progress.failed} failed{away}, {progress.slot or 'nobody'} answers"
    )


def render(report: Report) -> RenderableType:
    """Requests by kind and phase, what failed and when, tasks, sockets, slots."""
    parts: list[RenderableType] = [_requests(report), Text()]
    if report.failures:
        parts += [_failures(report), Text()]
    parts.append(_facts(report))
    return Group(*parts)


def verdict(report: Report) -> str:
    """The last line: what went wrong, if anything."""
    posts, sockets = report.posts, report.sockets
    counts = {
        f"of {report.requests.sent:,} requests failed": report.requests.failed,
        "tasks lost": posts.lost,
        "tasks doubled": posts.doubled,
        "events lost": sockets.lost,
        "events doubled": sockets.doubled,
        "gaps in what sockets heard": sockets.gaps,
        "sockets did not come back": sockets.away,
    }
    wrong = [f"{count:,} {what}" for what, count in counts.items() if count]
    wrong += [f"the tasks were not counted: {posts.unchecked}"] if posts.unchecked else []
    if wrong:
        return "; ".join(wrong)
    return f"0 of {report.requests.sent:,} requests failed, nothing was lost or doubled"


def _requests(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("requests", no_wrap=True)
    for column in ("sent", "failed", "p50 ms", "p95 ms", "p99 ms", "max ms"):
        table.add_column(column, justify="right", no_wrap=True)
    for kind, count in report.kinds.items():
        table.add_row(kind, *_counted(count))
    for name, phase in report.phases.items():
        table.add_row(f"during {name}", *_counted(phase.requests), *_waited(phase.latency))
    if report.latency is not None:
        table.add_row("all", *_counted(report.requests), *_waited(report.latency), style="bold")
    return table


def _counted(count: Count) -> tuple[str, Text]:
    return f"{count.sent:,}", Text(f"{count.failed:,}", style="bold red" if count.failed else "")


def _waited(latency: Latency) -> list[str]:
    return [f"{ms:.0f}" for ms in (latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.max_ms)]


def _failures(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("failed", justify="right", no_wrap=True)
    for column in ("phase", "kind"):
        table.add_column(column, no_wrap=True)
    table.add_column("what")
    table.add_column("from s", justify="right", no_wrap=True)
    table.add_column("to s", justify="right", no_wrap=True)
    groups = Counter((failure.phase, failure.kind, failure.what) for failure in report.failures)
    for (phase, kind, what), count in groups.most_common(MOST):
        when = [f.second for f in report.failures if (f.phase, f.kind, f.what) == (phase, kind, what)]
        table.add_row(str(count), phase, kind, Text(what), f"{min(when):.2f}", f"{max(when):.2f}")
    if len(groups) > MOST:
        table.add_row("", "", "", f"and {len(groups) - MOST} kinds more, which --json has")
    return table


def _facts(report: Report) -> Table:
    posts, sockets = report.posts, report.sockets
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    there = f", {posts.unknown_there} of them there" if posts.unknown else ""
    table.add_row(
        "tasks",
        f"{posts.sent:,} sent, {posts.acknowledged:,} acknowledged, {posts.unknown} unknown{there}, "
        f"{posts.lost} lost, {posts.doubled} doubled" + (f", {posts.left} left" if posts.left else ""),
    )
    closes = ", ".join(f"{count} × {code}" for code, count in sockets.codes.items())
    share = "" if sockets.back_share is None else f", {sockets.back_share:.1%} back within 1 s"
    table.add_row(
        "sockets",
        f"{sockets.clients} clients, {sockets.events:,} events each, {sockets.lost} lost, "
        f"{sockets.doubled} doubled, closed: {closes or 'none'}{share}",
    )
    turns = ", ".join(f"{each.slot or 'proxy'} from {each.since_s:.2f} s" for each in report.slots[:MOST])
    more = len(report.slots) - MOST
    table.add_row("slots", (turns or "none answered") + (f", and {more} turns more" if more > 0 else ""))
    return table
