"""The images of a stack, pulled before anything is stopped for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi_docker as docker
from pulumi import ComponentResource, ResourceOptions

from infra.components.host import Host


@dataclass(frozen=True, kw_only=True)
class ImagesArgs:
    """Image name to `repository@sha256:…`."""

    host: Host
    digests: Mapping[str, str]


class Images(ComponentResource):
    """Each image by digest, kept on the host when the stack goes: pulling it is the slow part."""

    pulled: dict[str, docker.RemoteImage]

    def __init__(self, name: str, args: ImagesArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:host:Images", name, None, opts)
        self.pulled = {
            image: docker.RemoteImage(
                f"{name}-{image}", name=digest, keep_locally=True, opts=args.host.options(parent=self)
            )
            for image, digest in sorted(args.digests.items())
        }
        self.register_outputs({})
