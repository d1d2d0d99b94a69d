"""The first seconds at work: a version that does badly is taken back before a person has read of it."""

from __future__ import annotations

from infra.steps.rotation import Rotation, script


def bake(rotation: Rotation, *, seconds: int) -> str:
    """Watch the live slot for `seconds`; turn back to the other one, if that is healthy, when it does badly.

    What counts as badly is in config/release/watch.py; a process that ended and was started again does too.
    """
    return script(rotation, _BODY.replace("SECONDS", str(seconds)))


_BODY = """
started=$(seen "$live" '{{.State.StartedAt}} {{.RestartCount}}')
if why=$(watch bake "$live" SECONDS); then
  [ "$(seen "$live" '{{.State.StartedAt}} {{.RestartCount}}')" != "$started" ] || { echo "$why"; exit 0; }
  why="slot $live ended and began anew: $(last_words "$live")"
fi
back=$(other "$live")
if [ "$blue_attempt" != "$green_attempt" ] && is_healthy "$back"; then
  turn "$back"
  watch route "$back" 15 >/dev/null || true
  note back "$back" "$why"
  fail "$why; $back serves again" "correct it and release again; see docker logs $(container "$live")"
fi
note failed "$live" "$why"
fail "$why, and no other version could take over" "look at docker logs $(container "$live")"
"""
