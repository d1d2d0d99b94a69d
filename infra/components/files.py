"""A directory of files on the host, named by what is in it, for containers to mount read-only."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pulumi import ComponentResource, Input, ResourceOptions

from infra.components.host import Host, host_command

# Old revisions stay for the slot that is not released yet and for a way back; no more than that.
KEPT_REVISIONS = 5


@dataclass(frozen=True, kw_only=True)
class HostFilesArgs:
    """Files as a base64 tar archive; `revision` names exactly this content."""

    host: Host
    parent_dir: str
    revision: str
    archive: Input[str]
    secret: bool


class HostFiles(ComponentResource):
    """Files on the host at `path`. Another content is another path, so its readers notice."""

    path: str

    def __init__(self, name: str, args: HostFilesArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:host:HostFiles", name, None, opts)
        self.path = f"{args.parent_dir}/{args.revision}"
        host_command(
            f"{name}-write",
            args.host,
            create=_write_script(args.parent_dir, args.revision),
            delete=f"rm -rf -- {shlex.quote(args.parent_dir)}",
            stdin=args.archive,
            quiet=args.secret,
            opts=ResourceOptions(parent=self),
        )
        self.register_outputs({"path": self.path})


def _write_script(parent_dir: str, revision: str) -> str:
    """Unpack stdin beside the target, flush it, rename it into place, drop the oldest revisions.

    The parent is closed to other accounts of the host, so that the files in it may be readable to
    whatever uid the container has. What a container mounts stays, however old it is.
    """
    parent, target = shlex.quote(parent_dir), shlex.quote(f"{parent_dir}/{revision}")
    return f"""set -eu
umask 077
mkdir -p {parent}
new=$(mktemp -d {parent}/.new.XXXXXX)
trap 'rm -rf "$new"' EXIT
base64 -d | tar -xf - -C "$new"
chmod 755 "$new"
chmod 444 "$new"/*
touch "$new"
sync
if [ -d {target} ]; then cp -pf "$new"/* {target}/; touch {target}; else mv -T "$new" {target}; fi
cd {parent}
find . -maxdepth 1 -name '.new.*' -mmin +60 -exec rm -rf {{}} +
old=$(ls -1t | tail -n +{KEPT_REVISIONS + 1})
[ -n "$old" ] || exit 0
mounts='{{{{range .Mounts}}}}{{{{println .Source}}}}{{{{end}}}}'
used=$(docker ps --all --quiet | xargs -r docker inspect --format "$mounts")
for name in $old; do
  printf '%s\n' "$used" | grep -qxF "$PWD/$name" || rm -rf -- "./$name"
done
"""
