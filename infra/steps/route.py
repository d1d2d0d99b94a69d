"""The turn: one small file, proven by the proxy's own answers; then the slot that left may finish."""

from __future__ import annotations

from infra.steps.rotation import ATTEMPT_LABEL, Rotation, functions, script

_ADMIN = r'exec 3<>/dev/tcp/127.0.0.1/2019; printf "GET /reverse_proxy/upstreams HTTP/1.0\r\nHost: localhost:2019\r\n\r\n" >&3; cat <&3'  # noqa: E501


def route(rotation: Rotation, *, drain_s: int) -> str:
    """Turn, prove it through the proxy, and wait until it has nothing open to the other slot.

    It turns back if the slot gets no requests. What is still open after `drain_s` seconds is told and left:
    the other slot stays warm, so nothing is cut off.
    """
    return script(rotation, _BODY.replace("DRAIN_S", str(drain_s)))


def turn_back(rotation: Rotation) -> str:
    """The way back at once, without a word to the engine of the state: to the other slot, if it is fit.

    Its input is a line: who asks. It says which slot is live now.
    """
    return functions(rotation) + _BACK


_BODY = f"""
before=$(in_rotation)
turn "$live"
if ! why=$(proven "$live"); then
  if [ -n "$before" ] && [ "$before" != "$live" ]; then turn "$before"; fi
  note failed "$live" "$why"
  fail "$why" "$(in_rotation) is in rotation; look at docker logs $(container "$live")"
fi
open_to() {{ # open_to SLOT: requests and sockets that the proxy has open there
  docker exec "$proxy" bash -c '{_ADMIN}' | tr '}}' '\\n' |
    sed -n "s/.*\\"address\\":\\"api-$1:8000\\",\\"num_requests\\":\\([0-9]*\\).*/\\1/p"
}}
old=$(other "$live") until_s=$(($(date +%s) + DRAIN_S)) quiet=0 left=
while [ "$quiet" -lt 2 ] && [ "$(date +%s)" -lt "$until_s" ]; do
  left=$(open_to "$old") || left=
  if [ "${{left:-x}}" = 0 ]; then quiet=$((quiet + 1)); else quiet=0; fi
  [ "$quiet" -ge 2 ] || sleep 0.1
done
if [ "$quiet" -ge 2 ]; then
  echo "$live has all requests, $old has none left: $why"
else
  echo "$live has all new requests, $old still has ${{left:-an unknown number of}} open after DRAIN_S s"
fi
"""

_BACK = f"""read -r by
now=$(in_rotation)
to=$(other "$now")
image=$(seen "$to" '{{{{.Config.Image}}}}')
[ -n "$now" ] || fail 'no slot is in rotation' 'bring the stack up first'
filled() {{ seen "$1" '{{{{index .Config.Labels "{ATTEMPT_LABEL}"}}}}'; }}
# Later attempts have greater ids: what was once taken back is not what was before.
if expr "x$(filled "$to")" '>' "x$(filled "$now")" > /dev/null; then
  fail "slot $to has a newer version than $now, which is live: there is none before it" \
    'release that one again with gad deploy, if it is wanted'
fi
is_healthy "$to" || fail "slot $to is not healthy: it cannot take over" \\
  "look at docker logs $(container "$to"), or release a version that works"
if ! why=$(watch fits "$to"); then
  fail "$why" 'release a version that works: the schema is never taken back'
fi
turn "$to"
if ! why=$(proven "$to"); then
  turn "$now"
  fail "$why" "$now is in rotation again; look at docker logs $(container "$to")"
fi
note back "$to" 'asked for'
echo "$to $image"
"""
