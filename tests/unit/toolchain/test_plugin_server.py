"""The engine's service over a provider: what the engine is told when something is wrong."""

# ruff: noqa: ARG002 - the signatures are the base's own
from __future__ import annotations

from typing import NoReturn

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, status_pb2

from infra.errors import GadError
from infra.toolchain.docker.contract import CONFIG, REFUSED
from infra.toolchain.docker.provider import DockerProvider
from infra.toolchain.plugin import (
    UNKNOWN,
    Call,
    Change,
    Created,
    InitFailed,
    Properties,
    Provider,
    ReadBack,
    Resource,
    Schema,
    Updated,
    string,
)
from infra.toolchain.plugin.properties import from_struct, to_struct
from infra.toolchain.plugin.server import Servicer

TOKEN = "gad:index/thing:Thing"
URN = f"urn:pulumi:dev::gad::{TOKEN}::one"


class Aborted(Exception):
    """What the engine would see."""


class Context:
    """As much of a call's context as the service uses."""

    def __init__(self) -> None:
        self.metadata: dict[str, bytes] = {}

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise Aborted(code, details)

    def set_trailing_metadata(self, metadata: tuple[tuple[str, bytes], ...]) -> None:
        self.metadata = dict(metadata)


class Thing(Resource):
    """Fails in the way it is told to."""

    schema = Schema(
        token=TOKEN,
        properties={"name": string(), "fails": string(), "word": string(), "made": string(output=True)},
    )
    autoname = "name"

    def create(self, call: Call, inputs: Properties) -> Created:
        if inputs.get("fails") == "half":
            raise InitFailed("id-1", inputs, ["it is unwell"])
        if inputs.get("fails") == "told":
            raise GadError("the disk is full", remedy="make room")
        if inputs.get("fails"):
            raise ValueError("a surprise")
        return Created(id="id-1", state={**inputs, "made": "yes"})

    def read(self, call: Call, id_: str, inputs: Properties, state: Properties) -> ReadBack | None:
        return None

    def update(self, call: Call, id_: str, change: Change) -> Updated:
        return Updated(state=change.new_inputs)

    def delete(self, call: Call, id_: str, inputs: Properties, state: Properties) -> None: ...


class Things(Provider):
    """One type, and one that it refuses."""

    def __init__(self) -> None:
        super().__init__(
            name="gad", version="1.0.0", resources={TOKEN: Thing()}, refused={"gad:index:Other": "it is not"}
        )

    def configure(self, config: Properties) -> None: ...


@pytest.fixture
def servicer() -> Servicer:
    return Servicer(Things())


def create(
    servicer: Servicer, context: Context, *, preview: bool = False, **inputs: str
) -> provider_pb2.CreateResponse:
    request = provider_pb2.CreateRequest(
        urn=URN, preview=preview, properties=to_struct({**inputs}, {("word",)})
    )
    return servicer.Create(request, context)  # type: ignore[arg-type]


def test_an_expected_failure_is_one_sentence(servicer: Servicer) -> None:
    with pytest.raises(Aborted) as caught:
        create(servicer, Context(), fails="told")
    assert caught.value.args == (grpc.StatusCode.UNKNOWN, "the disk is full; make room")


def test_a_surprise_is_called_a_defect(servicer: Servicer) -> None:
    with pytest.raises(Aborted, match="a defect of the offline gad provider: ValueError: a surprise"):
        create(servicer, Context(), fails="yes")


def test_what_exists_but_is_unwell_is_recorded_with_its_secrets(servicer: Servicer) -> None:
    context = Context()
    with pytest.raises(Aborted, match="it is unwell"):
        create(servicer, context, fails="half", word="hush")
    status = status_pb2.Status.FromString(context.metadata["grpc-status-details-bin"])
    failed = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(failed)
    assert (failed.id, [*failed.reasons]) == ("id-1", ["it is unwell"])
    decoded = from_struct(failed.properties)
    assert decoded.values == {"fails": "half", "word": "hush"}
    assert decoded.secrets == {("word",)}


def test_a_preview_creates_nothing_and_knows_no_outputs(servicer: Servicer) -> None:
    answer = create(servicer, Context(), preview=True, fails="yes", word="hush")
    decoded = from_struct(answer.properties)
    assert answer.id == ""
    assert decoded.values == {"fails": "yes", "word": "hush", "made": UNKNOWN}
    assert decoded.secrets == {("word",)}


def test_a_resource_that_is_gone_reads_as_empty(servicer: Servicer) -> None:
    answer = servicer.Read(provider_pb2.ReadRequest(urn=URN, id="id-1"), Context())  # type: ignore[arg-type]
    assert answer.id == ""


def test_a_name_is_made_up_once(servicer: Servicer) -> None:
    first = servicer.Check(
        provider_pb2.CheckRequest(urn=URN, randomSeed=b"\x01" * 32),
        Context(),  # type: ignore[arg-type]
    )
    again = servicer.Check(
        provider_pb2.CheckRequest(urn=URN, randomSeed=b"\x02" * 32, olds=first.inputs),
        Context(),  # type: ignore[arg-type]
    )
    inputs = from_struct(first.inputs).values
    assert inputs == {"name": "one-0101010", "__defaults": ["name"]}
    assert from_struct(again.inputs).values == inputs


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        ("gad:index:Other", "gad:index:Other is not supported by the offline gad provider: it is not"),
        ("gad:index:New", "it knows no such type"),
    ],
)
def test_an_unsupported_type_is_refused_by_name(servicer: Servicer, token: str, sentence: str) -> None:
    request = provider_pb2.CheckRequest(urn=f"urn:pulumi:dev::gad::{token}::one")
    with pytest.raises(Aborted, match=sentence):
        servicer.Check(request, Context())  # type: ignore[arg-type]


@pytest.mark.parametrize("token", sorted(REFUSED))
def test_the_docker_provider_refuses_what_it_has_not(token: str) -> None:
    request = provider_pb2.CheckRequest(urn=f"urn:pulumi:dev::gad::{token}::one")
    with pytest.raises(Aborted, match=f"{token} is not supported by the offline docker provider"):
        Servicer(DockerProvider()).Check(request, Context())  # type: ignore[arg-type]


def test_configuration_that_is_not_text_arrives_as_json() -> None:
    request = provider_pb2.CheckRequest(
        news=to_struct({"host": "ssh://a", "sshOpts": '["-p", "22"]', "registryAuth": '[{"adress": "x"}]'})
    )
    answer = Servicer(DockerProvider()).CheckConfig(request, Context())  # type: ignore[arg-type]
    assert [failure.reason for failure in answer.failures] == [
        "registryAuth[0].adress of provider docker is unknown, did you mean address?",
        "registryAuth[0].address of provider docker is missing",
    ]
    assert {*CONFIG} >= {"host", "registryAuth", "sshOpts", "disableDockerDaemonCheck"}
