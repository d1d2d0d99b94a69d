"""Volumes that hold what cannot be made again."""

from __future__ import annotations

import pulumi_docker as docker
from pulumi import Resource, ResourceOptions

from infra.components.host import Host
from infra.names import DataClass, Names


def data_volume(
    name: str, host: Host, names: Names, *, role: str, parent: Resource, data_class: DataClass = "personal"
) -> docker.Volume:
    """A volume that `pulumi destroy` refuses to delete, and that stays even when it is forgotten.

    Losing it takes a person's word: `gad clean`.
    """
    return docker.Volume(
        name,
        name=names.volume(role),
        driver="local",
        labels=[
            docker.VolumeLabelArgs(label=key, value=value)
            for key, value in sorted(names.labels(role, data_class).items())
        ],
        opts=ResourceOptions.merge(
            host.options(parent=parent), ResourceOptions(protect=True, retain_on_delete=True)
        ),
    )
