"""A container's inputs as the engine's words, and back."""

from __future__ import annotations

import io
import tarfile

import pytest

from infra.errors import GadError
from infra.toolchain.docker.container_body import container_body
from infra.toolchain.docker.container_state import container_state, imported_inputs
from infra.toolchain.docker.contract import CONTAINER
from infra.toolchain.docker.normal import format_duration, normal_capability, normal_duration, parse_duration
from infra.toolchain.docker.upload import upload_archive
from infra.toolchain.plugin import Change, Properties, check_properties, diff_properties

ID = "a" * 64
INPUTS: Properties = {
    "image": "r/x@sha256:1",
    "name": "c",
    "command": ["serve"],
    "envs": ["A=1"],
    "user": "10073:10073",
    "memory": 64,
    "memorySwap": 64,
    "cpus": "0.5",
    "readOnly": True,
    "init": True,
    "restart": "unless-stopped",
    "capabilities": {"drops": ["ALL"], "adds": ["NET_BIND_SERVICE"]},
    "securityOpts": ["no-new-privileges:true"],
    "tmpfs": {"/run": "size=16m"},
    "labels": [{"label": "gad.role", "value": "api"}],
    "logDriver": "json-file",
    "logOpts": {"max-size": "10m"},
    "ports": [{"internal": 80, "external": 8080, "ip": "127.0.0.1", "protocol": "tcp"}],
    "healthcheck": {"tests": ["CMD", "true"], "interval": "1m30s", "retries": 3},
    "mounts": [
        {"type": "volume", "source": "v", "target": "/data", "volumeOptions": {"noCopy": True}},
        {"type": "bind", "source": "/etc/gad", "target": "/run/gad", "readOnly": True},
        {"type": "tmpfs", "target": "/t", "tmpfsOptions": {"sizeBytes": 1024, "mode": 448}},
    ],
    "networkMode": "bridge",
    "networksAdvanced": [{"name": "n", "aliases": ["api"]}],
    "ulimits": [{"name": "nofile", "soft": 10, "hard": 20}],
    "stopTimeout": 30,
}


def inspected() -> Properties:
    """What the engine would answer for INPUTS."""
    body = container_body(INPUTS)
    host = dict(body.pop("HostConfig"))  # type: ignore[call-overload]
    host |= {"IpcMode": "private", "Runtime": "runc", "ShmSize": 67108864}
    return {
        "Id": ID,
        "Name": "/c",
        "Platform": "linux",
        "Config": {**body, "Hostname": ID[:12]},  # type: ignore[dict-item]
        "HostConfig": host,
        "State": {"Running": True, "Status": "running", "ExitCode": 0},
        "NetworkSettings": {
            "Networks": {"n": {"Aliases": ["api", ID[:12]], "IPAddress": "10.0.0.2", "IPPrefixLen": 16}},
            "Ports": {},
        },
    }


def test_the_body_speaks_the_engine_s_language() -> None:
    body = container_body(INPUTS)
    assert body["HostConfig"] == {
        "CapAdd": ["CAP_NET_BIND_SERVICE"],
        "CapDrop": ["ALL"],
        "Init": True,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
        "Memory": 64 * 1024 * 1024,
        "MemorySwap": 64 * 1024 * 1024,
        "Mounts": [
            {"Type": "volume", "Target": "/data", "Source": "v", "VolumeOptions": {"NoCopy": True}},
            {"Type": "bind", "Target": "/run/gad", "Source": "/etc/gad", "ReadOnly": True},
            {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1024, "Mode": 448}},
        ],
        "NanoCpus": 500_000_000,
        "NetworkMode": "bridge",
        "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
        "ReadonlyRootfs": True,
        "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
        "SecurityOpt": ["no-new-privileges:true"],
        "Tmpfs": {"/run": "size=16m"},
        "Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 20}],
    }
    assert body["Healthcheck"] == {"Test": ["CMD", "true"], "Interval": 90_000_000_000, "Retries": 3}
    assert body["ExposedPorts"] == {"80/tcp": {}}


def test_a_container_read_back_differs_in_nothing() -> None:
    inputs = check_properties(CONTAINER.properties, INPUTS, of="Container").inputs
    state = container_state(inspected(), inputs, must_run=True)
    change = Change(old_inputs=inputs, state=state, new_inputs=inputs)
    assert diff_properties(CONTAINER.properties, change).paths == {}


def test_an_imported_container_differs_in_nothing_the_engine_knows() -> None:
    found = imported_inputs(inspected(), {"Config": {"Env": ["PATH=/bin"], "Cmd": ["bash"]}})
    inputs = check_properties(CONTAINER.properties, INPUTS, of="Container").inputs
    state = container_state(inspected(), found, must_run=True)
    change = Change(old_inputs=found, state=state, new_inputs=inputs)
    # What only the program knows is added to the state; nothing replaces the container.
    found_diff = diff_properties(CONTAINER.properties, change)
    assert found_diff.replaces == frozenset()
    assert set(found_diff.keys) <= {
        "containerReadRefreshTimeoutMilliseconds",
        "removeVolumes",
        "start",
        "waitTimeout",
    }


def test_what_the_image_gives_is_not_imported() -> None:
    inspect = inspected()
    image: Properties = {
        "Config": {"Cmd": ["serve"], "User": "10073:10073", "Env": ["A=1"], "Labels": {"gad.role": "api"}}
    }
    assert {"command", "user", "envs", "labels", "hostname"} & {*imported_inputs(inspect, image)} == set()


def test_a_stopped_container_reads_as_one_that_need_not_run() -> None:
    inspect = inspected()
    inspect["State"] = {"Running": False, "ExitCode": 137}
    state = container_state(inspect, INPUTS, must_run=True)
    assert (state["mustRun"], state["exitCode"]) == (False, 137)
    assert container_state(inspected(), INPUTS, must_run=True)["mustRun"] is True


def test_the_image_s_own_user_and_healthcheck_are_not_read() -> None:
    inspect = inspected()
    bare: Properties = {"image": "r/x@sha256:1"}
    state = container_state(inspect, bare, must_run=True)
    assert state["user"] == ""
    assert "healthcheck" not in state
    again = container_state(inspect, state, must_run=True)
    assert again == state


@pytest.mark.parametrize(
    ("text", "ns"),
    [("30s", 30e9), ("1m30s", 90e9), ("1h0m0s", 3600e9), ("1.5s", 15e8), ("250ms", 25e7), ("0s", 0), ("", 0)],
)
def test_durations(text: str, ns: float) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize("text", ["30", "1 m", "fast", "1m-3s"])
def test_no_duration(text: str) -> None:
    with pytest.raises(GadError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"),
        (90_000_000_000, "1m30s"),
        (60_000_000_000, "1m0s"),
        (3_600_000_000_000, "1h0m0s"),
        (250_000_000, "250ms"),
        (1_500_000_000, "1.5s"),
    ],
)
def test_durations_are_written_as_go_writes_them(ns: int, text: str) -> None:
    assert format_duration(ns) == text
    assert parse_duration(text) == ns


def test_spellings_of_one_value_are_equal() -> None:
    assert normal_duration("60s") == normal_duration("1m0s")
    assert normal_duration("0s") is None
    assert {*map(normal_capability, ("net_admin", "NET_ADMIN", "CAP_NET_ADMIN"))} == {"CAP_NET_ADMIN"}
    assert normal_capability("ALL") == "ALL"


def test_uploads_carry_content_and_mode() -> None:
    archive = upload_archive(
        [
            {"file": "/etc/a", "content": "hello"},
            {"file": "/bin/b", "contentBase64": "aGk=", "executable": True},
            {"file": "/etc/c", "content": "x", "permissions": "0600"},
        ]
    )
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = {each.name: (each.mode, tar.extractfile(each).read()) for each in tar}  # type: ignore[union-attr]
    assert found == {"etc/a": (0o644, b"hello"), "bin/b": (0o744, b"hi"), "etc/c": (0o600, b"x")}


@pytest.mark.parametrize(
    ("upload", "fact"),
    [
        ({"file": "/a", "content": "x", "contentBase64": "eA=="}, "content and contentBase64"),
        ({"file": "/a", "contentBase64": "%"}, "not base64"),
        ({"file": "/a", "source": "/nowhere/x"}, "cannot be read"),
        ({"file": "/a", "content": "x", "permissions": "rw"}, "permissions"),
    ],
)
def test_an_upload_that_cannot_be_made(upload: Properties, fact: str) -> None:
    with pytest.raises(GadError, match=fact):
        upload_archive([upload])


def test_a_start_interval_is_refused_by_name() -> None:
    with pytest.raises(GadError, match="startInterval"):
        container_body({"image": "x", "healthcheck": {"startInterval": "1s"}})


@pytest.mark.parametrize("key", ["gpus", "deviceRequests"])
def test_what_is_not_supported_is_refused_by_name(key: str) -> None:
    value = "all" if key == "gpus" else [{"count": 1}]
    checked = check_properties(CONTAINER.properties, {"image": "x", key: value}, of="Container")
    assert [problem.path for problem in checked.problems] == [key]
