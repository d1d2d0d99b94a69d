"""Before a slot is replaced: nobody may be using it, whatever an interrupted update or a person left."""

from __future__ import annotations

from infra.steps.rotation import ATTEMPT_LABEL, Rotation, script


def park(rotation: Rotation) -> str:
    """Ask the machine who is live; if that slot is about to be replaced, turn to the other first.

    A slot stays if its container carries the attempt that is to be recorded for it. The first release of
    a stack has nobody to protect.
    """
    return script(rotation, _BODY)


_BODY = f"""
stays() {{ # stays SLOT: its container is the one that will be there after this update
  wanted=$(if [ "$1" = blue ]; then echo "$blue_attempt"; else echo "$green_attempt"; fi)
  [ "-$(seen "$1" '{{{{index .Config.Labels "{ATTEMPT_LABEL}"}}}}')" = "$wanted" ]
}}
note begun "$live" ''
now=$(in_rotation)
if [ -z "$now" ] || stays "$now"; then
  echo "${{now:-nobody}} is live and stays as it is"
  exit 0
fi
rest=$(other "$now")
if ! stays "$rest" || ! is_healthy "$rest"; then
  # Both slots of one attempt: a first release, repeated; nothing of before could serve.
  [ "$blue_attempt" != "$green_attempt" ] || exit 0
  fail "slot $now is live and would be replaced, and slot $rest cannot take over" \\
    "see why with docker logs $(container "$rest"); start it, then release again"
fi
turn "$rest"
if ! why=$(proven "$rest"); then
  turn "$now"
  fail "slot $now is live and would be replaced: $why" "look at docker logs $(container "$rest")"
fi
note parked "$rest" "an update that was cut off had turned to $now"
echo "turned back to $rest: $now was left live by an update that was cut off"
"""
