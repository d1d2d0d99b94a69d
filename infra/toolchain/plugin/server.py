"""The engine's ResourceProvider service over a `Provider`: decode, dispatch, encode, explain failures."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import (
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
)

from infra.errors import GadError
from infra.toolchain.serving import serve as serve_plugin

from .answer import abort, abort_init, diff_response
from .check import check_properties
from .diff import Change, diff_properties
from .failure import Cancelled, InitFailed
from .log import EngineLog
from .properties import Decoded, Path, Properties, Value, from_struct, to_struct
from .resource import Call as Circumstances
from .resource import Provider, Resource, short
from .schema import DEFAULTS, Property


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one `Provider`; operations run on several threads at once."""

    def __init__(self, provider: Provider, engine_address: str | None = None) -> None:
        self.provider = provider
        self.cancelled = threading.Event()
        self.log = EngineLog(engine_address)

    # What the provider is.

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        """Learn the engine's address, say what we understand."""
        del context
        if request.engine_address:
            self.log.connect(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Serve another engine, as a debugger's session does."""
        del context
        self.log.connect(request.address)
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """Answer with the version of the official plugin that this one stands in for."""
        del request, context
        return plugin_pb2.PluginInfo(version=self.provider.version)

    def GetSchema(
        self, request: provider_pb2.GetSchemaRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetSchemaResponse:
        """Answer with the package and its supported types; SDKs are generated from the official plugin."""
        del request, context
        schema = {
            "name": self.provider.name,
            "version": self.provider.version,
            "resources": {token: {} for token in sorted(self.provider.resources)},
        }
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    # Its configuration.

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Refuse configuration that is unknown or of the wrong type."""
        del context
        decoded = from_struct(request.news)
        settled = self._config(decoded.values)
        checked = check_properties(
            self.provider.config, settled, of=f"provider {self.provider.name}", defaults=False
        )
        failures = [
            provider_pb2.CheckFailure(property=each.path, reason=each.reason) for each in checked.problems
        ]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def DiffConfig(
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """Report changed configuration as an update: its resources stay."""
        del context
        change = Change(
            old_inputs=self._config(from_struct(request.old_inputs).values),
            state=self._config(from_struct(request.olds).values),
            new_inputs=self._config(from_struct(request.news).values),
        )
        diff = diff_properties(self.provider.config, change)
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME
            if diff.paths
            else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=diff.keys,
        )

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Hand the configuration to the provider."""
        with self._explained(context, ""):
            self.provider.configure(self._config(from_struct(request.args).values))
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Stop every wait."""
        del request, context
        self.cancelled.set()
        return empty_pb2.Empty()

    # Resources.

    def Check(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Settle a resource's inputs."""
        resource = self._resource(request.urn, context)
        news = from_struct(request.news)
        call = self._circumstances(request.urn, random_seed=request.randomSeed)
        with self._explained(context, request.urn):
            checked = resource.check(call, from_struct(request.olds).values, news.values)
        return provider_pb2.CheckResponse(
            inputs=to_struct(checked.inputs, news.secrets),
            failures=[
                provider_pb2.CheckFailure(property=each.property, reason=each.reason)
                for each in checked.failures
            ],
        )

    def Diff(
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """Say what a change of inputs would do."""
        resource = self._resource(request.urn, context)
        old, state, new = map(from_struct, (request.old_inputs, request.olds, request.news))
        change = _change(old, state, new)
        call = self._circumstances(request.urn, secrets=old.secrets | new.secrets)
        with self._explained(context, request.urn):
            diff = resource.diff(call, request.id, change).ignoring(request.ignoreChanges)
        return diff_response(diff)

    def Create(
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        """Make a resource, or say what making it would give."""
        resource = self._resource(request.urn, context)
        inputs = from_struct(request.properties)
        call = self._circumstances(
            request.urn, preview=request.preview, timeout_s=request.timeout, secrets=inputs.secrets
        )
        with self._explained(context, request.urn, inputs.secrets):
            if request.preview:
                planned = resource.planned(call, inputs.values, None)
                return provider_pb2.CreateResponse(properties=to_struct(planned, inputs.secrets))
            created = resource.create(call, inputs.values)
        return provider_pb2.CreateResponse(
            id=created.id, properties=to_struct(created.state, _secret(inputs.secrets, created.secrets))
        )

    def Read(
        self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ReadResponse:
        """Look at a resource; an empty id in the answer says that it is gone."""
        resource = self._resource(request.urn, context)
        inputs, state = from_struct(request.inputs), from_struct(request.properties)
        secrets = inputs.secrets | state.secrets
        call = self._circumstances(request.urn, timeout_s=request.timeout)
        with self._explained(context, request.urn, secrets, inputs.values):
            read = resource.read(call, request.id, inputs.values, state.values)
        if read is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=read.id or request.id,
            properties=to_struct(read.state, _secret(secrets, read.secrets)),
            inputs=to_struct(read.inputs, secrets),
        )

    def Update(
        self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.UpdateResponse:
        """Change a resource in place, or say what changing it would give."""
        resource = self._resource(request.urn, context)
        old, state, inputs = map(from_struct, (request.old_inputs, request.olds, request.news))
        change = _change(old, state, inputs)
        call = self._circumstances(
            request.urn,
            preview=request.preview,
            timeout_s=request.timeout,
            secrets=old.secrets | state.secrets | inputs.secrets,
        )
        with self._explained(context, request.urn, inputs.secrets):
            if request.preview:
                planned = resource.planned(call, change.new_inputs, change.state)
                return provider_pb2.UpdateResponse(properties=to_struct(planned, inputs.secrets))
            updated = resource.update(call, request.id, change)
        return provider_pb2.UpdateResponse(
            properties=to_struct(updated.state, _secret(inputs.secrets, updated.secrets))
        )

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Remove a resource."""
        resource = self._resource(request.urn, context)
        inputs, state = from_struct(request.old_inputs), from_struct(request.properties)
        call = self._circumstances(
            request.urn, timeout_s=request.timeout, secrets=inputs.secrets | state.secrets
        )
        with self._explained(context, request.urn):
            resource.delete(call, request.id, inputs.values, state.values)
        return empty_pb2.Empty()

    # What the offline providers leave out, said by name.

    def Invoke(
        self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.InvokeResponse:
        """Refuse functions."""
        abort(
            context,
            f"the function {request.tok} is not supported by the offline {self.provider.name} provider",
        )

    def Call(
        self, request: provider_pb2.CallRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CallResponse:
        """Refuse methods."""
        abort(
            context, f"the method {request.tok} is not supported by the offline {self.provider.name} provider"
        )

    def Construct(
        self, request: provider_pb2.ConstructRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConstructResponse:
        """Refuse remote components."""
        abort(
            context,
            f"the component {request.type} is not supported by the offline {self.provider.name} provider",
        )

    def _resource(self, urn: str, context: grpc.ServicerContext) -> Resource:
        token = urn.split("::")[2].rsplit("$", 1)[-1]
        resource = self.provider.resources.get(token)
        if resource is None:
            reason = self.provider.refused.get(token, "it knows no such type")
            supported = ", ".join(sorted({short(each) for each in self.provider.resources}))
            abort(
                context,
                f"{token} is not supported by the offline {self.provider.name} provider: {reason} "
                f"(supported: {supported}; the official plugin has them all: GAD_TOOLCHAIN=official)",
            )
        return resource

    def _circumstances(
        self,
        urn: str,
        *,
        preview: bool = False,
        timeout_s: float = 0,
        random_seed: bytes = b"",
        secrets: frozenset[Path] = frozenset(),
    ) -> Circumstances:
        def log(severity: str, message: str) -> None:
            self.log.write(severity, message, urn)

        return Circumstances(
            urn=urn,
            type=urn.split("::")[2].rsplit("$", 1)[-1],
            cancelled=self.cancelled,
            log=log,
            preview=preview,
            timeout_s=timeout_s,
            random_seed=random_seed,
            secrets=secrets,
        )

    def _config(self, values: Properties) -> Properties:
        return {
            key: _plain(self.provider.config.get(key), value)
            for key, value in values.items()
            if key not in ("version", "pluginDownloadURL", DEFAULTS)
        }

    @contextmanager
    def _explained(
        self,
        context: grpc.ServicerContext,
        urn: str,
        secrets: frozenset[Path] = frozenset(),
        inputs: Properties | None = None,
    ) -> Iterator[None]:
        """Turn what an operation raises into what the engine shows and records."""
        try:
            yield
        except InitFailed as failed:
            abort_init(context, failed, secrets, inputs or {})
        except Cancelled as cancelled:
            abort(context, cancelled.fact, grpc.StatusCode.CANCELLED)
        except GadError as error:
            abort(context, f"{error.fact}; {error.remedy}" if error.remedy else error.fact)
        except Exception as error:
            self.log.write("error", traceback.format_exc(), urn)
            abort(
                context,
                f"a defect of the offline {self.provider.name} provider: {type(error).__name__}: {error}",
                grpc.StatusCode.INTERNAL,
            )


def serve(provider: Provider, arguments: Sequence[str]) -> int:
    """Serve `provider` to the engine whose address is the first argument; returns the exit code."""
    servicer = Servicer(provider, arguments[0] if arguments else None)
    return serve_plugin(partial(_register, servicer), servicer.cancelled.set)


def _register(servicer: Servicer, server: grpc.Server) -> None:
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)


def _plain(prop: Property | None, value: Value) -> Value:
    """One configuration value: whatever is not a text arrives as JSON in a text."""
    if not isinstance(value, str) or prop is None or prop.type == "string":
        return value
    try:
        parsed: Value = json.loads(value)
    except ValueError:
        return value
    return parsed


def _change(old_inputs: Decoded, state: Decoded, news: Decoded) -> Change:
    return Change(old_inputs=old_inputs.values, state=state.values, new_inputs=news.values)


def _secret(paths: frozenset[Path], names: Iterable[str]) -> frozenset[Path]:
    return paths | {(name,) for name in names}
