"""docker.Container."""

from __future__ import annotations

from docker.errors import APIError, NotFound

from infra.errors import GadError
from infra.toolchain.plugin import (
    Call,
    Cancelled,
    Change,
    Created,
    InitFailed,
    Properties,
    ReadBack,
    Resource,
    Schema,
    Updated,
    diff_properties,
)
from infra.toolchain.plugin.schema import DEFAULTS

from .connection import Connection, daemon_error, json_object, reason
from .container_body import MIB, container_body, restart_policy, swap_bytes
from .container_state import container_state, imported_inputs
from .contract import CONTAINER
from .image import Images
from .recorded import outputs_of
from .typed import flag, number, objects, text, texts
from .upload import upload_archive

# Seconds after the start before the first look: a process that dies at once has died by then.
SETTLE_S = 0.5
# Seconds between two looks at the health of a container that is waited for.
HEALTH_INTERVAL_S = 0.5
# The changes that the engine takes on a living container, in one call; all others are only recorded.
LIVE = frozenset({"cpuSet", "cpuShares", "maxRetryCount", "memory", "memorySwap", "restart"})
# What the program decides and no engine reports: an import takes the table's defaults.
PROGRAM_ONLY = frozenset(
    {"containerReadRefreshTimeoutMilliseconds", "mustRun", "removeVolumes", "start", "waitTimeout"}
)


class Container(Resource):
    """A container; its id is the engine's."""

    schema: Schema = CONTAINER
    autoname = "name"

    def __init__(self, connection: Connection, images: Images) -> None:
        self._connection = connection
        self._images = images

    def create(self, call: Call, inputs: Properties) -> Created:
        """Create, connect, upload, start, wait.

        Raises GadError when no container was made, InitFailed when there is one that is not as declared.
        """
        client = self._connection.client()
        image = text(inputs, "image")
        try:
            self._images.find_or_pull(call, image, text(inputs, "platform"))
        except GadError as error:
            raise GadError(
                f"unable to create container with image {image}: {error.fact}", remedy=error.remedy
            ) from error
        body = container_body(inputs)
        try:
            with self._connection.explained("create container"):
                answer = client.create_container_from_config(  # type: ignore[no-untyped-call]
                    body, text(inputs, "name"), text(inputs, "platform") or None
                )
        except NotFound as error:
            raise daemon_error("unable to create container", error) from error
        id_ = str(answer["Id"])
        try:
            self._connect(id_, inputs)
            self._upload(id_, inputs)
            if inputs.get("start") is not False:
                self._start(call, id_, inputs)
            inspect = self._inspect(id_)
            state = container_state(inspect, inputs, must_run=_must_run(inputs))
            if flag(inputs, "attach") and flag(inputs, "logs"):
                state["containerLogs"] = client.logs(id_).decode(errors="replace")
        except NotFound as error:
            if flag(inputs, "rm"):  # it ran, ended and removed itself
                return Created(id=id_, state=_planned_state(inputs, id_))
            raise InitFailed(id_, _planned_state(inputs, id_), [reason(error)]) from error
        except (Cancelled, GadError) as error:
            raise InitFailed(id_, _planned_state(inputs, id_), [_sentence(error)]) from error
        return Created(id=id_, state=state)

    def read(self, call: Call, id_: str, inputs: Properties, state: Properties) -> ReadBack | None:
        """Inspect it; an import may name it instead of giving the id."""
        del call
        try:
            inspect = self._inspect(id_)
        except NotFound:
            return None
        if not inputs:
            return self._imported(inspect)
        read = container_state(inspect, state, must_run=_must_run(inputs))
        # Inputs that the engine contradicts are recorded as the engine has them, so that the next plan
        # sees the difference; spellings of the same value are left as the program wrote them.
        change = Change(old_inputs=inputs, state=read, new_inputs=inputs)
        # Whether it must run is the program's word and stays.
        drifted = {*diff_properties(CONTAINER.properties, change).keys} & {*inputs} - {"mustRun"}
        settled = {**inputs, **{key: read[key] for key in drifted if key in read}}
        return ReadBack(inputs=settled, state=read, id=text(inspect, "Id"))

    def update(self, call: Call, id_: str, change: Change) -> Updated:
        """Tell the engine what it takes live, start what must run; the rest is only recorded."""
        news = change.new_inputs
        changed = frozenset(diff_properties(CONTAINER.properties, change).keys)
        if changed & LIVE:
            with self._connection.explained("update a container"):
                self._connection.client().update_container(
                    id_,
                    cpu_shares=number(news, "cpuShares") or None,
                    cpuset_cpus=text(news, "cpuSet") or None,
                    mem_limit=number(news, "memory") * MIB or None,
                    memswap_limit=swap_bytes(news) or None,
                    restart_policy=restart_policy(news),  # type: ignore[arg-type]  # the engine checks its name
                )
        if "mustRun" in changed and flag(news, "mustRun") and not self._is_running(id_):
            self._start(call, id_, news)
        gone = {key for key in changed if key not in news and not CONTAINER.properties[key].computed}
        kept = {key: value for key, value in change.state.items() if key not in gone}
        return Updated(state={**kept, **outputs_of(news)})

    def delete(self, call: Call, id_: str, inputs: Properties, state: Properties) -> None:
        """Stop it with the recorded grace (none: killed), remove it and its anonymous volumes."""
        del call, inputs
        client = self._connection.client()
        grace_s = number(state, "destroyGraceSeconds")
        try:
            with self._connection.explained(f"remove container {text(state, 'name')}"):
                if grace_s > 0:
                    client.stop(id_, timeout=grace_s)
                client.remove_container(id_, v=state.get("removeVolumes") is not False, force=True)
        except NotFound:
            return

    def _inspect(self, id_: str) -> Properties:
        client = self._connection.client()
        with self._connection.explained(f"inspect container {id_[:12]}"):
            return json_object(client.inspect_container(id_))

    def _is_running(self, id_: str) -> bool:
        return flag(json_object(self._inspect(id_).get("State")), "Running")

    def _imported(self, inspect: Properties) -> ReadBack:
        image = self._images.find(text(inspect, "Image")) or {}
        inputs = imported_inputs(inspect, image)
        defaults = {key: CONTAINER.properties[key].default for key in PROGRAM_ONLY}
        inputs |= defaults
        inputs[DEFAULTS] = [*sorted(defaults)]
        state = container_state(inspect, inputs, must_run=True)
        return ReadBack(inputs=inputs, state=state, id=text(inspect, "Id"))

    def _connect(self, id_: str, inputs: Properties) -> None:
        """Leave the default bridge for the networks asked for, which is how aliases become possible."""
        networks = objects(inputs, "networksAdvanced")
        if not networks:
            return
        client = self._connection.client()
        if text(inputs, "networkMode") in ("", "bridge", "default"):
            try:
                client.disconnect_container_from_network(id_, "bridge")
            except APIError as error:
                if "is not connected" not in str(error.explanation):
                    raise daemon_error("unable to leave the default bridge", error) from error
        for network in networks:
            name = text(network, "name")
            options = dict(each.split("=", 1) for each in texts(network, "driverOpts") if "=" in each)
            try:
                with self._connection.explained(f"connect to network {name}"):
                    client.connect_container_to_network(
                        id_,
                        name,
                        ipv4_address=text(network, "ipv4Address") or None,
                        ipv6_address=text(network, "ipv6Address") or None,
                        aliases=texts(network, "aliases") or None,
                        link_local_ips=texts(network, "linkLocalIps") or None,
                        driver_opt=options or None,
                    )
            except NotFound as error:
                raise daemon_error(f"unable to connect to network {name}", error) from error

    def _upload(self, id_: str, inputs: Properties) -> None:
        uploads = objects(inputs, "uploads")
        if not uploads:
            return
        with self._connection.explained("upload files"):
            self._connection.client().put_archive(id_, "/", upload_archive(uploads))

    def _start(self, call: Call, id_: str, inputs: Properties) -> None:
        client = self._connection.client()
        with self._connection.explained("start container"):
            client.start(id_)
        if flag(inputs, "attach"):
            while self._is_running(id_):
                call.wait(HEALTH_INTERVAL_S, f"{text(inputs, 'name')} to end")
        elif flag(inputs, "wait"):
            self._wait_healthy(call, id_, inputs)
        else:
            call.wait(SETTLE_S, f"{text(inputs, 'name')} to start")

    def _wait_healthy(self, call: Call, id_: str, inputs: Properties) -> None:
        """Look until it is healthy or `waitTimeout` has passed; unhealthy alone is no verdict yet."""
        name = text(inputs, "name")
        waited = 0.0
        while True:
            status = json_object(self._inspect(id_).get("State"))
            health = json_object(status.get("Health"))
            if not health:
                raise GadError(
                    f"container {name} failed to be in healthy state: it has no healthcheck to wait for",
                    remedy="declare a healthcheck, or leave out wait",
                )
            if text(health, "Status") == "healthy":
                return
            if waited >= number(inputs, "waitTimeout"):
                raise GadError(_unhealthy(name, status, health, number(inputs, "waitTimeout")), remedy="")
            call.wait(HEALTH_INTERVAL_S, f"{name} to be healthy")
            waited += HEALTH_INTERVAL_S


def _must_run(inputs: Properties) -> bool:
    return inputs.get("mustRun") is not False


def _planned_state(inputs: Properties, id_: str) -> Properties:
    """The state of a container that was never read: the inputs alone, as the official plugin records it."""
    return {**outputs_of(inputs), "id": id_}


def _sentence(error: GadError) -> str:
    return f"{error.fact}; {error.remedy}" if error.remedy else error.fact


def _unhealthy(name: str, status: Properties, health: Properties, timeout_s: int) -> str:
    checks = objects(health, "Log")
    output = text(checks[-1], "Output").strip().splitlines() if checks else []
    last = f"; the last check said: {output[-1][:200]}" if output else ""
    return (
        f"container {name} failed to be in healthy state within {timeout_s}s: "
        f"it is {text(status, 'Status')} and {text(health, 'Status')}{last}"
    )
