"""The migration of a release tried on a copy of the data, and the version before tried on what comes out.

All of it happens on a network of its own that leads nowhere, in containers with the stack's labels and the
role `scratch`: whoever finds one later knows that it may go, with its anonymous volume.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from infra.migrator import SECRETS, UID
from infra.names import LABEL_PREFIX, LABEL_ROLE, SCRATCH, DataClass, Names
from infra.steps.failure import FAILURE
from infra.steps.gate import CORRECT, Migrator, answers

LIMIT_S = 600  # specified (deploy reference, section 3): a backfill of ten minutes is refused
START_S = 60  # chosen: of each container; PostgreSQL's first start takes 2 s alone (measured)
SMOKE_S = 30  # chosen: three times what a slot has, for the copy shares the machine with everything else
UIDS: Mapping[str, int] = {"postgres": 10070, "redis": 10071, "api": UID}  # as the images have them
DUMP = "/run/gad/copy.dump"
ANY_ADDRESS = "/usr/share/gad/postgres/pg_hba.conf"  # the image's own: with a password, from anywhere

ELSEWHERE = "echo 'not rehearsed: PostgreSQL is on a server of its own'\n"


@dataclass(frozen=True, kw_only=True)
class StoreCopy:
    """PostgreSQL or Redis as the stack runs it, to be started once more without its data."""

    image: str
    config_dir: str
    secrets_dir: str
    memory_mib: int


@dataclass(frozen=True, kw_only=True)
class Before:
    """The version in rotation. `envs` are its own, for it may not know the new ones; the secrets are those
    that the stores have now."""

    image: str
    envs: Mapping[str, str]
    secrets_dir: str
    memory_mib: int


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """What the copy is made of. `subnet`: addresses that the stack has and does not use."""

    subnet: str
    postgres: StoreCopy
    redis: StoreCopy
    before: Before | None  # None: no version was released yet


def rehearse(migrator: Migrator, scratch: Scratch, *, limit_s: int = LIMIT_S) -> str:
    """Restore the dump, migrate the copy within `limit_s` seconds, try the version before on it.

    Its input: the first line of what the gate said, then what the backup said. What it made goes however it
    ends, by id, so that it takes nothing from a later run; what a killed run left goes when the next begins.
    """
    names = migrator.names
    real = shlex.quote(names.container("postgres"))
    owner = names.labels(SCRATCH, "none")
    ours = shlex.join(f"--filter=label={key}={owner[key]}" for key in (LABEL_PREFIX, LABEL_ROLE))
    migration = migrator.words(
        names.container(f"{SCRATCH}-migration"), "upgrade", network=SCRATCH, role=SCRATCH
    )
    return f"""set -eu
{FAILURE}{answers("not rehearsed")}IFS= read -r taken || true
{_FUNCTIONS.replace("START_S", str(START_S))}
left() {{ docker "$@" --quiet {ours}; }}
copied() {{ docker exec "$postgres" "$@" 2>&1; }}

at=$(docker exec {real} psql -XAtq -U postgres -d gad -c "{_WHERE}" 2>&1) ||
  fail "rehearsal: PostgreSQL does not answer: $(reason "$at")" "$again"
revision=${{at% *}} size=${{at#* }}
case ,${{wanted#pending }} in *,"$revision")
  echo "not rehearsed: the schema is at $revision already"
  exit 0 ;;
esac
dump=${{taken% * *}}
anew='look at the disk; release again: it takes a new one'
[ -s "$dump" ] || fail "rehearsal: there is no dump: ${{taken:-the backup said nothing}}" "$anew"
( cd "${{dump%/*}}" && sha256sum --check --status "${{dump##*/}}.sha256" 2>/dev/null ) ||
  fail "rehearsal: $dump is not what it was when it was taken" "$anew"

old=$(left ps --all)
[ -z "$old" ] || docker rm --force --volumes $old >/dev/null 2>&1 || true
old=$(left network ls)
[ -z "$old" ] || docker network rm $old >/dev/null 2>&1 || true
network=$({_network(names, scratch.subnet)} 2>&1) || {{
  why=$(reason "$network") network=
  fail "rehearsal: there is no network for the copy: $why" "$again"
}}
start PostgreSQL {_line(_postgres(names, scratch.postgres))}
postgres=$id
start Redis {_line(_redis(names, scratch.redis))}
await PostgreSQL "$postgres" gad-postgres-health
free=$(copied df --output=avail -B1 /var/lib/postgresql | tail -n 1 | tr -d ' ')
if [ "$free" -lt $((2 * size)) ]; then # the copy, and as much again for what is rewritten
  need=$((size / 524288 + 1)) free=$((free / 1048576))
  fail "rehearsal: a copy and its migration need $need MiB, there are $free MiB free" \\
    'make room where the engine keeps its volumes, then release again'
fi
said=$(copied pg_restore -U postgres -d gad --exit-on-error -j 2 {DUMP}) ||
  fail "rehearsal: the dump cannot be restored: $(reason "$said")" "$again"

make 'the migration' {_line(migration[3:])}
began=$(date +%s) status=0
said=$(timeout --kill-after=5 {limit_s} docker start --attach "$id" 2>&1) || status=$?
seconds=$(($(date +%s) - began))
if [ "$status" -ne 0 ]; then
  [ "$seconds" -lt {limit_s} ] ||
    fail 'rehearsal: the migration takes longer than {limit_s} s on a copy of the data' "$batches"
  fail "rehearsal: $(reason "$said")" "$(remedy "$said" '{CORRECT}')" "$said"
fi
took="rehearsed ${{wanted#pending }} in $seconds s on a copy of $((size / 1048576 + 1)) MiB"
{_before(names, scratch.before)}"""


_WHERE = "SELECT version_num || ' ' || pg_database_size('gad') FROM alembic_version"

_FUNCTIONS = """again='nothing has changed: correct it, then release again'
batches='let a duty of the code do it in batches between two releases, not a migration at once'
made='' network=''
clear_up() {
  [ -z "$made" ] || docker rm --force --volumes $made >/dev/null 2>&1 || true
  [ -z "$network" ] || docker network rm "$network" >/dev/null 2>&1 || true
}
trap clear_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
make() { # make WHAT WORDS…: a container, its id in `id`
  what=$1
  shift
  id=$(docker create "$@" 2>&1) || fail "rehearsal: $what cannot be made: $(reason "$id")" "$again"
  id=$(printf '%s\\n' "$id" | tail -n 1) # an image that was not there is told first
  made="$made $id"
}
start() { # start WHAT WORDS…
  make "$@"
  said=$(docker start "$id" 2>&1) || fail "rehearsal: $1 does not start: $(reason "$said")" "$again"
}
await() { # await WHAT CONTAINER COMMAND…: until the command works in it
  what=$1 container=$2 until_s=$(($(date +%s) + START_S))
  shift 2
  until docker exec "$container" "$@" >/dev/null 2>&1; do
    if [ "$(docker inspect --format '{{.State.Running}}' "$container")" != true ] ||
      [ "$(date +%s)" -ge "$until_s" ]; then
      said=$(docker logs --tail 20 "$container" 2>&1) || true
      fail "rehearsal: $what does not come up: $(reason "$said")" "$again"
    fi
    sleep 0.2
  done
}"""


def _before(names: Names, before: Before | None) -> str:
    """Whoever serves now goes on serving on the new schema, and after a rollback for ever."""
    if before is None:
        return 'echo "$took; there is no version before"\n'
    return f"""start 'the version before' {_line(_api(names, before))}
await 'the version before' "$id" gad-probe {_PORT} /health/live
status=0
said=$(docker exec "$id" python -m app.smoke --within {SMOKE_S} 2>&1 >/dev/null) || status=$?
case $status-$said in
  0-*) echo "$took; the version before works on it" ;;
  *'No module named app.smoke'*) echo "$took; the version before has no smoke test, so it was not tried" ;;
  *) fail "the version before does not work on the new schema: $(reason "$said")" \\
    'expand first and keep what it uses; take that away in a later release, when no version needs it' ;;
esac
"""


_PORT, _PRIVATE_PORT = 8000, 9000


def _network(names: Names, subnet: str) -> str:
    labels = _labels(names, "none")
    return shlex.join(
        ["docker", "network", "create", "--internal", f"--subnet={subnet}", *labels, names.network(SCRATCH)]
    )


def _postgres(names: Names, store: StoreCopy) -> list[str]:
    return [
        *_store(names, "postgres", store, "personal", ("/run/postgresql", "/tmp")),  # noqa: S108  (in it)
        f"--shm-size={max(64, store.memory_mib // 8)}m",
        f"--mount=type=bind,source=$dump,target={DUMP},readonly",
        store.image,
        # The stack's own lets in the addresses of its data network only, which are taken.
        *("-c", f"hba_file={ANY_ADDRESS}"),
    ]


def _redis(names: Names, store: StoreCopy) -> list[str]:
    return [*_store(names, "redis", store, "internal", ("/tmp",)), store.image]  # noqa: S108  (in it)


def _store(
    names: Names, role: str, store: StoreCopy, data_class: DataClass, tmpfs: tuple[str, ...]
) -> Iterator[str]:
    """Its data is in the anonymous volume that its image declares."""
    yield from _container(
        names,
        role,
        data_class,
        memory_mib=store.memory_mib,
        secrets_dir=store.secrets_dir,
        tmpfs=tmpfs,
    )
    yield f"--network-alias={role}"
    yield f"--mount=type=bind,source={store.config_dir},target=/etc/gad/{role},readonly"


def _api(names: Names, before: Before) -> list[str]:
    """No file names a slot in rotation, so it leads nothing and publishes nothing."""
    envs = {
        **before.envs,
        "GAD_LIVE_SLOT_FILE": "/run/gad/release/live",
        "GAD_PORT": str(_PORT),
        "GAD_PRIVATE_PORT": str(_PRIVATE_PORT),
        "GAD_SLOT": SCRATCH,
    }
    return [
        *_container(
            names,
            "api",
            "personal",
            memory_mib=before.memory_mib,
            secrets_dir=before.secrets_dir,
            tmpfs=("/tmp",),  # noqa: S108  (in it)
        ),
        *(f"--env={key}={value}" for key, value in sorted(envs.items())),
        before.image,
    ]


def _container(
    names: Names,
    role: str,
    data_class: DataClass,
    *,
    memory_mib: int,
    secrets_dir: str,
    tmpfs: tuple[str, ...],
) -> Iterator[str]:
    yield f"--name={names.container(f'{SCRATCH}-{role}')}"
    yield f"--network={names.network(SCRATCH)}"
    yield from ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true")
    yield from (f"--memory={memory_mib}m", f"--memory-swap={memory_mib}m", "--cpus=1.0", "--pids-limit=256")
    yield from ("--init", "--no-healthcheck")  # it is asked here, and nobody else waits for it
    yield f"--mount=type=bind,source={secrets_dir},target={SECRETS},readonly"
    owner = f"uid={UIDS[role]},gid={UIDS[role]}"
    yield from (f"--tmpfs={path}:rw,noexec,nosuid,nodev,size=64m,mode=0700,{owner}" for path in tmpfs)
    yield from _labels(names, data_class)


def _labels(names: Names, data_class: DataClass) -> list[str]:
    return [f"--label={key}={value}" for key, value in sorted(names.labels(SCRATCH, data_class).items())]


def _line(words: list[str]) -> str:
    """Words of a shell, of which the dump's path is known only there."""
    return " ".join(f'"{word}"' if "$dump" in word else shlex.quote(word) for word in words)
