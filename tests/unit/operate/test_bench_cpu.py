"""The probe that counts processor time, run here as it runs in a slot: as text, against a real server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.operate import bench_cpu, bench_cpu_probe
from infra.operate.bench_cpu import Rounds

EFFORT = {"rounds": 2, "times": 200, "warm_up": 10}


def run(**asked: object) -> subprocess.CompletedProcess[str]:
    text = bench_cpu.script({"path": "/", "headers": {"Host": "x"}, **EFFORT, **asked})
    return subprocess.run(
        [sys.executable, "-"], input=text, text=True, capture_output=True, timeout=60, check=False
    )


def test_a_server_measured_as_both_costs_about_the_same() -> None:
    with bench_cpu_probe.bare_server() as (pid, port):
        done = run(pid=pid, port=port)
    rounds = Rounds.model_validate_json(done.stdout)
    assert (len(rounds.app), len(rounds.bare)) == (2, 2)
    # 200 requests of 20-200 µs are a few ticks of the clock: nothing more exact can be said here.
    assert 0 <= max(*rounds.app, *rounds.bare) < 2000


def test_a_server_that_is_not_there_is_said() -> None:
    done = run(pid=1, port=1)
    assert done.returncode != 0
    assert "Refused" in done.stderr.splitlines()[-1]


def test_processor_time_is_of_that_process() -> None:
    before = bench_cpu_probe.processor_s(1)
    with bench_cpu_probe.bare_server() as (pid, port):
        assert bench_cpu_probe.measured_us(pid, port, b"GET / HTTP/1.1\r\n\r\n", times=1, warm_up=0) >= 0
        assert bench_cpu_probe.processor_s(pid) > 0.05  # it has started an interpreter
    assert bench_cpu_probe.processor_s(1) >= before


def test_the_serving_process_is_found_by_its_module_and_not_the_init_before_it() -> None:
    command = [sys.executable, "-c", "import time; print(flush=True); time.sleep(30)", "-m", "app.never"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(LookupError):
            bench_cpu_probe.serving("app.never")
        other.kill()
    with subprocess.Popen([sys.executable, "-m", "http.server", "0"], stderr=subprocess.DEVNULL) as server:
        while b"http.server" not in Path(f"/proc/{server.pid}/cmdline").read_bytes():
            pass
        assert bench_cpu_probe.serving("http.server") == server.pid
        server.kill()


def test_figures_are_medians_and_their_ratio() -> None:
    cost, ratio = bench_cpu.figures("GET /x", Rounds(app=(500, 900, 600), bare=(100, 90, 110)))
    assert (cost.measured, cost.unit, cost.target, cost.is_met) == (600, "µs", 700, True)
    assert cost.detail == "rounds 500, 900, 600"
    assert (ratio.measured, ratio.unit, ratio.target) == (6.0, "×", None)
    assert "bare: 100 µs" in ratio.detail
