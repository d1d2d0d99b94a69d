"""Numbers beside targets: what is measured by hand here must be judged and shown as it is."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from infra.cli.root import main
from infra.errors import Exit, GadError
from infra.operate import bench, bench_crowd, bench_http, bench_query, bench_rebuild, bench_table
from infra.operate.bench_figure import Figure, missed, percentile
from infra.operate.district import STATIONS

ROOT = Path(__file__).resolve().parents[3]


def figure(measured: float, target: float | None, what: str = "up") -> Figure:
    return Figure(what=what, measured=measured, unit="s", target=target)


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1), (0.951, 96)]
)
def test_a_percentile_is_a_measured_value(share: float, value: float) -> None:
    assert percentile([*range(100, 0, -1)], share) == value


def test_a_percentile_of_one_value_is_that_value() -> None:
    assert [percentile([7.5], share) for share in (0.01, 0.5, 1)] == [7.5, 7.5, 7.5]


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.5)])
def test_a_percentile_of_nothing_is_refused(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="needs values"):
        percentile(values, share)


@pytest.mark.parametrize(
    ("measured", "target", "is_met"), [(14.9, 15, True), (15, 15, True), (15.1, 15, False), (99, None, None)]
)
def test_a_target_is_the_largest_value_that_is_well(
    measured: float, target: float | None, is_met: bool | None
) -> None:
    assert figure(measured, target).is_met is is_met
    assert bool(missed([figure(measured, target)])) is (is_met is False)


@pytest.mark.parametrize(
    ("figures", "line"),
    [
        ([figure(1, 2), figure(3, 4), figure(5, None)], "all 2 targets met"),
        ([figure(1, 2), figure(3, 2, "down")], "missed 1 of 2 targets: down"),
        ([figure(1, None)], "not measured: no figure with a target"),
        ([], "not measured: no figure with a target"),
    ],
)
def test_the_verdict_names_what_is_missed(figures: list[Figure], line: str) -> None:
    assert bench_table.verdict(figures) == line


def test_the_table_shows_each_number_beside_its_target() -> None:
    figures = [
        Figure(what="gad up", measured=61.26, unit="s", target=60, detail="cached"),
        Figure(what="SQL", measured=0.4321, unit="ms", target=3.0),
        Figure(what="changes", measured=0, unit="", target=0),
        Figure(what="image app", measured=231, unit="MB"),
    ]
    console = Console(file=io.StringIO(), width=80, highlight=False, color_system=None)
    console.print(bench_table.render(figures))
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip().split("  ") for line in console.file.getvalue().splitlines()]
    assert [[cell.strip() for cell in line if cell.strip()] for line in lines] == [
        ["what", "measured", "target", "ok"],
        ["gad up", "cached", "61.3 s", "≤ 60 s", "no"],
        ["SQL", "0.43 ms", "≤ 3 ms", "yes"],
        ["changes", "0", "≤ 0", "yes"],
        ["image app", "231 MB", "-", "-"],
    ]


@pytest.mark.parametrize(
    ("summary", "changes"), [({"same": 60}, 0), ({"same": 58, "update": 1, "replace": 2}, 3), ({}, 0)]
)
def test_changes_in_a_preview_are_counted(summary: dict[str, int], changes: int) -> None:
    assert bench.changes_in(json.dumps({"steps": [], "changeSummary": summary})) == changes


@pytest.mark.parametrize("answer", ["", "{}", '{"changeSummary": {"same": "many"}}'])
def test_a_preview_without_a_summary_is_no_empty_one(answer: str) -> None:
    with pytest.raises(GadError, match="no summary"):
        bench.changes_in(answer)


def plan(*, scan: str, ms: float) -> str:
    """As PostgreSQL 17 writes it, shortened: the nearest below a sort, a join beside it."""
    near = {"Node Type": scan, "Relation Name": "officers", "Plan Rows": 32}
    index = {"Index Name": "officers_last_position_gist"} if "Index" in scan else {}
    people = {"Node Type": "Index Scan", "Relation Name": "users", "Index Name": "users_pkey"}
    join = {"Node Type": "Nested Loop", "Plans": [{**near, **index}, people]}
    root = {"Node Type": "Limit", "Plans": [{"Node Type": "Sort", "Plans": [join]}]}
    return json.dumps([{"Plan": root, "Planning Time": 0.2, "Execution Time": ms, "Triggers": []}], indent=2)


def test_plans_are_read_from_what_psql_prints() -> None:
    printed = "".join(
        f"{plan(scan='Index Scan', ms=ms)}\n{bench_query.SEPARATOR}\n" for ms in (0.5, 0.25, 4.0)
    )
    time, slow, scans = bench_query.figures(
        bench_query.read_plans(printed), what="5 nearest of 10,000 officers"
    )
    assert (time.what, time.measured, time.is_met) == ("5 nearest of 10,000 officers, SQL p50", 0.5, True)
    assert slow.measured == 4.0
    assert (scans.measured, scans.is_met) == (0, True)
    assert scans.detail == "uses officers_last_position_gist, users_pkey"


@pytest.mark.parametrize("scan", ["Seq Scan", "Parallel Seq Scan"])
def test_a_scan_of_the_whole_table_misses_its_target(scan: str) -> None:
    *_, scans = bench_query.figures(
        bench_query.read_plans(plan(scan=scan, ms=9.0) + bench_query.SEPARATOR), what="5 nearest"
    )
    assert (scans.measured, scans.is_met, scans.detail) == (1, False, "scans officers")


def test_every_station_is_asked_twice_with_the_application_s_own_statement() -> None:
    lines = bench_query.script(" SELECT :lat, :lon, :max_m, :rows\n").splitlines()
    explained = [line for line in lines if line.startswith("EXPLAIN")]
    assert set(explained) == {"EXPLAIN (ANALYZE, FORMAT JSON) SELECT :lat, :lon, :max_m, :rows;"}
    assert len(explained) == lines.count(f"\\echo {bench_query.SEPARATOR}") == 2 * len(STATIONS)


def test_the_crowd_is_made_from_nothing_measured_and_undone() -> None:
    values = {"when": "now() - interval '1 s'"}
    text = bench_crowd.script(["SELECT :lat", "SELECT :when"], values, before="SELECT 1")
    lines = text.splitlines()
    assert (lines[1], lines[-1]) == ("BEGIN;", "ROLLBACK;")
    assert "COMMIT" not in text
    # Every table that is written is a temporary one of this session, made before.
    assert re.findall(r"INSERT INTO (\w+)", text) == [*bench_crowd.TABLES]
    assert re.findall(r"CREATE TEMP TABLE (\w+) \(LIKE public", text) == [*bench_crowd.TABLES]
    assert "\\set when 'now() - interval ''1 s'''" in lines
    explained = [line.removeprefix("EXPLAIN (ANALYZE, FORMAT JSON) ") for line in lines if "EXPLAIN" in line]
    each = bench_crowd.ROUNDS * len(STATIONS)
    assert explained == ["SELECT :lat;"] * each + ["SELECT :when;"] * each


def test_the_first_round_among_the_crowd_only_warms() -> None:
    rounds = [[900.0, 1.0, 2.0], [900.0, 2.5, 4.0]]
    printed = "".join(
        f"{plan(scan='Index Scan', ms=ms)}\n{bench_query.SEPARATOR}\n"
        for times in rounds
        for ms in times
        for _ in STATIONS
    )
    found = bench_query.crowd_figures(bench_query.read_plans(printed))
    assert [(f.what, f.measured, f.is_met) for f in found] == [
        ("5 nearest of 100,000 officers, SQL p50", 1.0, True),
        ("5 nearest of 100,000 officers, SQL p95", 2.0, True),
        ("5 nearest of 100,000 officers, SQL, whole-table scans", 0, True),
        ("5 nearest who can be sent of 100,000 officers, SQL p50", 2.5, True),
        ("5 nearest who can be sent of 100,000 officers, SQL p95", 4.0, False),
        ("5 nearest who can be sent of 100,000 officers, SQL, whole-table scans", 0, True),
    ]


def test_http_figures_carry_the_ratio_to_a_bare_request() -> None:
    found = {f.what: f for f in bench_http.figures([4.0, 6.0, 60.0], [2.0, 2.0, 5.0])}
    assert found["p50 of nearest to p50 of live"].measured == 3.0
    assert found["GET /api/v1/officers/nearest p50"].measured == 6.0
    assert found["GET /api/v1/officers/nearest p95"].is_met is False
    assert found["GET /health/live p95"].measured == 5.0


def test_a_rebuild_works_on_a_copy_of_what_images_are_built_from(tmp_path: Path) -> None:
    bench_rebuild.copy_sources(ROOT, tmp_path)
    copied = {path.name for path in tmp_path.iterdir()}
    assert copied >= {"app", "config", "requirements", ".dockerignore"}
    assert copied <= {"app", "config", "requirements", ".dockerignore", ".gad"}
    assert (tmp_path / "app" / "__init__.py").read_bytes() == (ROOT / "app" / "__init__.py").read_bytes()
    assert [*(tmp_path / "config" / "images").glob("*/Dockerfile")] != []


def test_a_stack_is_not_taken_down_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def too_late(*args: object, **kwargs: object) -> None:
        raise AssertionError

    monkeypatch.setattr("infra.operate.bench.bench", too_late)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["bench", "dev"]) == Exit.REFUSED
    assert "not confirmed; nothing was done" in capsys.readouterr().err


@pytest.mark.parametrize(("measured", "code"), [(1.0, Exit.OK), (99.0, Exit.FAILED)])
def test_a_missed_target_is_exit_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], measured: float, code: Exit
) -> None:
    monkeypatch.setattr("infra.operate.bench.bench", lambda *_, **__: [figure(measured, 15)])
    assert main(["bench", "dev", "--no-restart", "--json"]) == code
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is (code == Exit.OK)
    assert [row["ok"] for row in answer["figures"]] == [code == Exit.OK]
