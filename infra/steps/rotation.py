"""What every step of a release knows: both slots, the file that names the live one, and the ledger beside it.

A step's input is the same for all: what the update will leave recorded. It changes with each attempt and with
nothing else, so an update with nothing to do runs no step, and one that failed is tried again from the start.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from infra.names import Names

ATTEMPT_LABEL = "gad.attempt"
WATCH = "/run/gad/release/watch.py"  # as a slot sees it


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """Where a stack's release state is, and who takes part. Names are physical; `site` without a port."""

    directory: str
    blue: str
    green: str
    proxy: str
    site: str


def rotation_of(names: Names, *, directory: str, site: str) -> Rotation:
    """The rotation of a stack, by the physical names of those who take part."""
    return Rotation(
        directory=directory,
        blue=names.container("api-blue"),
        green=names.container("api-green"),
        proxy=names.container("proxy"),
        site=site,
    )


def step_input(*, attempt: str, by: str, live: str, image: str, blue_attempt: str, green_attempt: str) -> str:
    """A line each, as the scripts read them; the last is for people: which version it is about."""
    return "\n".join((f"{attempt} {by}", live, f"-{blue_attempt}", f"-{green_attempt}", image, ""))


def script(rotation: Rotation, body: str) -> str:
    """`body` with everything that it may call. It runs in the release directory, its input already read.

    The slots' account reads what is written, whatever the umask of a hardened server.
    """
    return f"{functions(rotation)}{_READ}{body}"


def functions(rotation: Rotation) -> str:
    """What scripts about the rotation may call, for those without a step's input."""
    quoted = {
        name: shlex.quote(getattr(rotation, name)) for name in ("directory", "blue", "green", "proxy", "site")
    }
    return f"""set -eu
umask 022
cd {quoted["directory"]}
proxy={quoted["proxy"]} site={quoted["site"]}
container() {{ if [ "$1" = blue ]; then echo {quoted["blue"]}; else echo {quoted["green"]}; fi; }}
{_FUNCTIONS}"""


_READ = """read -r attempt by
read -r live
read -r blue_attempt
read -r green_attempt
read -r image
"""

# `turn` is one atomic write: a reader sees the old name or the new one. `note` is one write of under 4 KiB to
# a file opened for appending, flushed before the step goes on.
_FUNCTIONS = f"""attempt= by= image=
other() {{ if [ "$1" = blue ]; then echo green; else echo blue; fi; }}
in_rotation() {{ cat live 2>/dev/null || true; }}
turn() {{
  printf '%s' "$1" > .live.new
  sync .live.new
  mv -f .live.new live
  sync .
}}
seen() {{ docker inspect --format "$2" "$(container "$1")" 2>/dev/null || true; }}
is_running() {{ [ "$(seen "$1" '{{{{.State.Running}}}}')" = true ]; }}
health='{{{{if .State.Health}}}}{{{{.State.Health.Status}}}}{{{{end}}}}'
is_healthy() {{ is_running "$1" && [ "$(seen "$1" "$health")" = healthy ]; }}
plain() {{ printf '%s' "$1" | tr -d '"\\\\' | tr '\\000-\\037' ' ' | cut -c1-400; }}
note() {{ # note EVENT SLOT WHY
  printf '{{"at":"%s","attempt":"%s","by":"%s","event":"%s","slot":"%s","image":"%s","why":"%s"}}\\n' \\
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$attempt" "$by" "$1" "$2" "$image" "$(plain "$3")" >> ledger.jsonl
  sync ledger.jsonl
}}
fail() {{ # fail SENTENCE REMEDY
  printf 'error: %s\\nremedy: %s\\n' "$(plain "$1")" "$2" >&2
  exit 1
}}
watch() {{ # watch WHAT SLOT SECONDS: asked from the other slot, which is not at work, or else from itself
  from=$(other "$2")
  is_running "$from" || from=$2
  docker exec "$(container "$from")" python3 -I -S {WATCH} "$1" "$2" "$site" "${{3:-15}}" 2>&1
}}
proven() {{ # proven SLOT: after a turn; who waits at the proxy is held there for 5 s, so 3 s are for the slot
  unready=$(watch ready "$1" 3) || {{ echo "$unready"; return 1; }}
  watch route "$1" 15
}}
last_words() {{ # last_words SLOT: of what its container said
  said=$(docker logs --tail 100 "$(container "$1")" 2>&1) || true
  words=$(printf '%s\\n' "$said" | grep -E '^error: |Error|"level": ?"(error|critical)"' | tail -n 1)
  [ -n "$words" ] || words=$(printf '%s\\n' "$said" | grep -v '^ *$' | tail -n 1)
  plain "${{words#error: }}"
}}
"""
