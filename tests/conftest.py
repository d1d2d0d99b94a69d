"""Rules of every run: a skipped test is a failure until somebody lists it here with its reason."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

LONG = "takes minutes: `make soak` runs it"
# Test id, without its parameters → why it may be skipped.
ALLOWED: dict[str, str] = {
    "tests/engine/lab/test_host_faults.py::test_a_package_that_somebody_left_half_installed": LONG,
    "tests/engine/lab/test_host_faults.py::test_another_apt_is_waited_for": LONG,
    "tests/engine/lab/test_lab_stack.py::test_one_thing_done_by_hand_is_all_that_is_named": LONG,
    "tests/engine/lab/test_two_servers.py::test_a_change_by_hand_on_the_second_is_put_back": LONG,
    "tests/engine/lab/test_two_servers.py::test_two_bare_servers_become_one_stack": LONG,
}

# All test files that begin so ask one server.
HARDENED = "tests/engine/lab/test_host_"

_skipped: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what was skipped; with xdist the controller sees all reports."""
    if report.skipped and not hasattr(report, "wasxfail") and report.nodeid.partition("[")[0] not in ALLOWED:
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


class OneServer(LoadFileScheduling):  # type: ignore[misc]
    """A file is one worker's, and so is all that asks the hardened lab: it takes minutes to make one."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return HARDENED if file.startswith(HARDENED) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneServer:
    """What a worker is given at once."""
    return OneServer(config, log)
