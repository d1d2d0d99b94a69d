"""Rules of every run: a skipped test is a failure until somebody lists it here with its reason."""

from __future__ import annotations

import pytest

# Test id → why it may be skipped. Empty: nothing may.
ALLOWED: dict[str, str] = {}

_skipped: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what was skipped; with xdist the controller sees all reports."""
    if report.skipped and not hasattr(report, "wasxfail") and report.nodeid not in ALLOWED:
        _skipped[report.nodeid] = str(report.longrepr)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Turn an unexpected skip into a failure of the run."""
    if _skipped and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name each unexpected skip."""
    for test, reason in _skipped.items():
        terminalreporter.write_line(f"UNEXPECTED SKIP {test}: {reason}", red=True)
