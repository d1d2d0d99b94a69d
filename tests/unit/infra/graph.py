"""The graph that a program declares, as it goes over the wire to the engine.

A mock monitor answers the program and keeps every registration request: inputs in the provider's
own (camelCase) terms with their secretness, and the options the engine would obey. A transformation
would see only what Python was told, before translation.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pulumi
from google.protobuf.struct_pb2 import Value
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks, set_mocks
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.rpc import _special_secret_sig, _special_sig_key
from pulumi.runtime.stack import run_pulumi_func

CONTAINER = "docker:index/container:Container"
NETWORK = "docker:index/network:Network"
VOLUME = "docker:index/volume:Volume"
IMAGE = "docker:index/remoteImage:RemoteImage"
LOCAL_COMMAND = "command:local:Command"
REMOTE_COMMAND = "command:remote:Command"
COMMANDS = (LOCAL_COMMAND, REMOTE_COMMAND)


@dataclass(frozen=True)
class Secret:
    """A value that the engine encrypts."""

    value: Any


@dataclass(frozen=True, kw_only=True)
class Node:
    """One resource: its inputs and the options the engine was told."""

    urn: str
    type: str
    name: str
    custom: bool
    inputs: Mapping[str, Any]
    registered: Mapping[str, Any]  # a component's own outputs
    parent: str
    provider: str
    dependencies: frozenset[str]  # URNs, also those of the parent's and the provider's making
    protect: bool
    retain_on_delete: bool
    delete_before_replace: bool | None
    replace_on_changes: tuple[str, ...]
    ignore_changes: tuple[str, ...]
    secret_outputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """All resources of one run, in the order of their names, and what the program returned."""

    nodes: tuple[Node, ...]
    outputs: Any

    def of_type(self, *tokens: str) -> tuple[Node, ...]:
        """Resources of these type tokens."""
        return tuple(node for node in self.nodes if node.type in tokens)

    @property
    def containers(self) -> tuple[Node, ...]:
        """Every container."""
        return self.of_type(CONTAINER)

    @property
    def commands(self) -> tuple[Node, ...]:
        """Every command, on this machine or another."""
        return self.of_type(LOCAL_COMMAND, REMOTE_COMMAND)

    @property
    def state(self) -> dict[str, Any]:
        """What the engine would answer of these resources once they are all there."""
        return {node.urn: {"type": node.type, "outputs": _wire(node.inputs)} for node in self.nodes}

    def named(self, name: str) -> Node:
        """The one resource of that logical name."""
        (node,) = [node for node in self.nodes if node.name == name]
        return node

    def changed_since(self, before: Graph) -> set[str]:
        """Names of custom resources that an update from `before` to this graph would touch.

        What the engine is told to ignore does not count, as it does not there.
        """
        now, then = ({n.name: n for n in graph.nodes if n.custom} for graph in (self, before))
        common = now.keys() & then.keys()
        return (now.keys() ^ then.keys()) | {name for name in common if _differ(now[name], then[name])}


def _differ(now: Node, then: Node) -> bool:
    keys = (now.inputs.keys() | then.inputs.keys()) - set(now.ignore_changes)
    return any(now.inputs.get(key) != then.inputs.get(key) for key in keys)


class _Answers(Mocks):
    """Every resource becomes what it was declared to be; the only invoke reads the stack's own state.

    An id follows from the inputs: another container is another id, which its readers see. What a command says
    does too.
    """

    def __init__(self, state: Mapping[str, Any]) -> None:
        self.state = dict(state)

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        content = json.dumps(args.inputs, sort_keys=True, default=str)
        id_ = f"{args.name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
        # What a command prints follows from its inputs too.
        printed = {"stdout": f"printed by {id_}"} if args.typ in COMMANDS else {}
        return id_, {**args.inputs, **printed}

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        if args.token != "pulumi:pulumi:readStackResourceOutputs":
            raise AssertionError(f"the program asked for {args.token}")
        return {"name": args.args["stackName"], "outputs": self.state}, []


class _Monitor(MockMonitor):
    """Keeps each request, then answers as the SDK's own mock does."""

    def __init__(self, mocks: Mocks) -> None:
        super().__init__(mocks)
        self.requests: list[Any] = []
        self.registered: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:
        self.requests.append(request)
        return super().RegisterResource(request)

    def RegisterResourceOutputs(self, request: Any) -> Any:
        self.registered[request.urn] = request.outputs
        return super().RegisterResourceOutputs(request)


def record(
    program: Callable[[], Any], *, stack: str = "dev", state: Mapping[str, Any] | None = None
) -> Graph:
    """Run `program` as one update of the project, and give back what it declared.

    In a thread of its own: the SDK keeps its root resource in the thread's context, and a fresh one
    must not see an earlier run's.
    """
    with ThreadPoolExecutor(max_workers=1) as runner:
        return runner.submit(_record, program, stack, state or {}).result()


def _record(program: Callable[[], Any], stack: str, state: Mapping[str, Any]) -> Graph:
    answers = _Answers(state)
    monitor = _Monitor(answers)
    results: list[Any] = []

    async def run() -> None:
        results.append(await pulumi.Output.from_input(program()).future())

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # The SDK makes an event loop in each thread that answers a call: one thread, so that it can be closed.
    calls = ThreadPoolExecutor(max_workers=1)
    loop.set_default_executor(calls)
    try:
        set_mocks(answers, project="grupo-gad", stack=stack, organization="organization", monitor=monitor)
        loop.run_until_complete(run_pulumi_func(run))
    finally:
        calls.submit(_close_loop).result()
        calls.shutdown()
        loop.close()
        asyncio.set_event_loop(None)
    nodes = [_node(monitor, request) for request in monitor.requests if request.type != "pulumi:pulumi:Stack"]
    return Graph(tuple(sorted(nodes, key=lambda node: node.urn)), results[0])


def _close_loop() -> None:
    with suppress(RuntimeError):  # this thread never needed one
        asyncio.get_event_loop().close()


def _node(monitor: _Monitor, request: Any) -> Node:
    urn = monitor.make_urn(request.parent, request.type, request.name)
    return Node(
        urn=urn,
        type=request.type,
        name=request.name,
        custom=request.custom,
        inputs=_plain_fields(request.object.fields),
        registered=_plain_fields(monitor.registered[urn].fields) if urn in monitor.registered else {},
        parent=request.parent,
        provider=request.provider,
        dependencies=frozenset(request.dependencies),
        protect=request.protect,
        retain_on_delete=request.retainOnDelete,
        delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
        replace_on_changes=tuple(request.replaceOnChanges),
        ignore_changes=tuple(request.ignoreChanges),
        secret_outputs=tuple(request.additionalSecretOutputs),
    )


def _plain_fields(fields: Mapping[str, Value]) -> dict[str, Any]:
    return {key: _plain(item) for key, item in sorted(fields.items())}


def _plain(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            fields = value.struct_value.fields
            if _special_sig_key in fields and fields[_special_sig_key].string_value == _special_secret_sig:
                return Secret(_plain(fields["value"]))
            return _plain_fields(fields)
        case "list_value":
            return [_plain(item) for item in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
    return None


def _wire(value: Any) -> Any:
    """The value as it goes over the wire, where a secret is marked as one."""
    match value:
        case Secret():
            return {_special_sig_key: _special_secret_sig, "value": value.value}
        case Mapping():
            return {key: _wire(item) for key, item in value.items()}
        case list():
            return [_wire(item) for item in value]
    return value


def in_clear(value: Any) -> Iterator[str]:
    """Every text in a value that the engine would write into the state as it stands."""
    match value:
        case Secret():
            return
        case Mapping():
            for key, item in value.items():
                yield key
                yield from in_clear(item)
        case list() | tuple():
            for item in value:
                yield from in_clear(item)
        case None:
            return
        case _:
            yield str(value)
