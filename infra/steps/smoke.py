"""The idle slot is tried before anybody reaches it: it starts, it is what it should be, it does its work."""

from __future__ import annotations

from infra.steps.rotation import Rotation, script

MOST_RESTARTS = 3  # chosen: a process that ends by itself so often will not stay


def smoke(rotation: Rotation, *, start_s: int) -> str:
    """Wait until the slot answers (`start_s` seconds at most), compare its image, let it test itself.

    The image's own health check is asked at once and often: the engine asks it only every few seconds.

    A container that ends, runs out of memory or turns unhealthy fails at once, with its own last words.
    """
    return script(rotation, _BODY.replace("START_S", str(start_s)).replace("MOST", str(MOST_RESTARTS)))


_BODY = """
wait_for() { # wait_for SLOT
  until_s=$(($(date +%s) + START_S))
  until answers "$1"; do
    state=$(seen "$1" "{{.State.Status}} {{.RestartCount}} {{.State.OOMKilled}} $health")
    set -- "$1" $state
    case ${2:-missing} in missing) rejected "$1" 'its container is gone' ;; esac
    if [ "$4" = true ]; then rejected "$1" "it ran out of its memory ($(limit "$1"))"; fi
    if [ "$3" -ge MOST ]; then rejected "$1" "it ended $3 times: $(last_words "$1")"; fi
    case $2 in exited | dead) rejected "$1" "it ended: $(last_words "$1")" ;; esac
    # One that ended counts as unhealthy too, until it is asked again.
    if [ "$3-${5:-}" = 0-unhealthy ]; then rejected "$1" "it is unhealthy: $(last_check "$1")"; fi
    if [ "$(date +%s)" -ge "$until_s" ]; then
      rejected "$1" "it did not answer within START_S s: $(last_words "$1")"
    fi
    sleep 0.2
  done
}
check='/usr/bin/python3 -I -S /usr/local/lib/gad/health.py'
answers() { docker exec "$(container "$1")" $check >/dev/null 2>&1; }
limit() { seen "$1" '{{.HostConfig.Memory}} bytes'; }
last_check() {
  seen "$1" '{{range .State.Health.Log}}{{.Output}}{{"\\n"}}{{end}}' | grep -v '^ *$' | tail -n 1
}
rejected() {
  note failed "$1" "$2"
  fail "slot $1 with $image: $2" \\
    "correct it and release again; $(in_rotation) serves as before; see docker logs $(container "$1")"
}
wait_for "$live"
[ "$blue_attempt" != "$green_attempt" ] || wait_for "$(other "$live")"
runs=$(seen "$live" '{{.Config.Image}}')
[ "$runs" = "$image" ] || rejected "$live" "its container runs $runs"
[ "$(seen "$live" '{{.HostConfig.PidsLimit}}')" -gt 0 ] || rejected "$live" 'its processes are not limited'
if ! told=$(docker exec "$(container "$live")" python -m app.smoke --within 30 2>&1); then
  why=$(printf '%s\n' "$told" | sed -n 's/^error: //p' | head -n 1)
  # One that ended took its test with it.
  [ -n "$why" ] || [ "$(seen "$live" '{{.State.Running}} {{.RestartCount}}')" = 'true 0' ] ||
    why="it ended while it was tried: $(last_words "$live")"
  [ -n "$why" ] || why=$(printf '%s\n' "$told" | tail -n 1)
  rejected "$live" "${why:-its smoke test ended without a word}"
fi
printf '%s\n' "$told"
"""
