"""What a version would do to the schema: asked, judged, and in the end done."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from infra.migrator import docker_run
from infra.names import Names
from infra.steps.failure import FAILURE

# A program of the stack starts in the program's folder or in the project's; an absolute path would be this
# machine's.
GAD = "test -x bin/gad || cd ..; exec bin/gad"
# Chosen: a reader in a long transaction is mostly gone by then, and a person who waits has not left.
TRIES, PAUSE_S = 5, 2
LOCKED = "a lock was not free"  # as app.migrate says it
CORRECT = "correct the step, build the image again, then release it"


@dataclass(frozen=True, kw_only=True)
class Migrator:
    """The image whose schema is wanted, with the owner's connection and nothing else in its secrets."""

    names: Names
    image: str
    envs: Mapping[str, str]
    secrets_dir: str
    hosts: Mapping[str, str]  # name to address of what is on another server

    def words(self, name: str, command: str, *, network: str = "data", role: str = "migration") -> list[str]:
        """`docker run` of one command in a container of that name, on the network of that role."""
        return docker_run(
            name=name,
            network=self.names.network(network),
            secrets_dir=self.secrets_dir,
            labels=self.names.labels(role, "personal"),
            envs=self.envs,
            image=self.image,
            command=command,
            hosts=self.hosts,
        )


def ask(migrator: Migrator) -> str:
    """Say `none`, `first`, or `pending REVISION,…` and the SQL of these steps. Nothing is changed."""
    name = migrator.names.container("migration-gate")
    return f"""docker rm --force {shlex.quote(name)} >/dev/null 2>&1 || true
exec {shlex.join(migrator.words(name, "pending"))}"""


def lint(stack: str, *, contract: str | None) -> str:
    """Judge what `ask` said, on the machine that runs `gad`. `contract`: the one step that may take away."""
    approved = f" --approve {shlex.quote(contract)}" if contract is not None else ""
    return f"""set -eu
{FAILURE}{answers("nothing to judge")}{GAD} db lint {shlex.quote(stack)} --file -{approved}
"""


def migrate(migrator: Migrator) -> str:
    """Bring the schema to the image's, unless `ask` said that it is there.

    An interrupted run's container is removed first; its transaction was rolled back. A step that found a lock
    held is tried again: what was finished stays, and whoever holds the lock was not kept waiting.
    """
    name = migrator.names.container("migration")
    run = shlex.join(migrator.words(name, "upgrade"))
    return f"""set -eu
{FAILURE}IFS= read -r wanted || true
if [ "$wanted" = none ]; then
  echo 'nothing to migrate'
  exit 0
fi
tries=1
while true; do
  docker rm --force {shlex.quote(name)} >/dev/null 2>&1 || true
  status=0
  {{ said=$({run} 2>&1 >&3) || status=$?; }} 3>&1
  case $status-$said in
    0-*) exit 0 ;;
    *'{LOCKED}'*) [ "$tries" -lt {TRIES} ] || break ;;
    *) break ;;
  esac
  echo "a lock was held: try $tries of {TRIES}"
  tries=$((tries + 1))
  sleep {PAUSE_S}
done
fail "$(reason "$said")" "$(remedy "$said" '{CORRECT}')" "$said"
"""


def answers(idle: str) -> str:
    """Read the first line of what `ask` said into `wanted`, and end with `idle` if there is nothing to do."""
    return f"""IFS= read -r wanted || true
case $wanted in
  none | first) echo "{idle}: $wanted"; exit 0 ;;
  'pending '*) ;;
  *) fail "the migration gate said: ${{wanted:-nothing}}" 'look at app.migrate of the new image' ;;
esac
"""
