"""How a step that runs by itself says why it failed: one sentence and a remedy, first on stderr."""

from __future__ import annotations

# `reason` and `remedy` read what another program said: ours have both; of a traceback it is the last
# exception, without SQLAlchemy's path to it; of all else the last line.
FAILURE = r"""fail() { # fail SENTENCE REMEDY [TEXT]
  printf 'error: %s\nremedy: %s\n' "$1" "$2" >&2
  [ -z "${3:-}" ] || printf '%s\n' "$3" >&2
  exit 1
}
reason() { # reason TEXT
  why=$(printf '%s\n' "$1" | sed -n 's/^error: //p' | head -n 1)
  [ -n "$why" ] || why=$(printf '%s\n' "$1" | sed -n 's/^[A-Za-z_.]*\(Error\|Exception\): //p' | tail -n 1)
  [ -n "$why" ] || why=$(printf '%s\n' "$1" | sed '/^ *$/d' | tail -n 1)
  [ -n "$why" ] || why='it ended without a word'
  printf '%s' "$why" | sed "s/^(sqlalchemy[^)]*) //; s/^<class '[^']*'>: //; s/^[a-z_]*: error: //"
}
remedy() { # remedy TEXT ELSE
  how=$(printf '%s\n' "$1" | sed -n 's/^remedy: //p' | head -n 1)
  printf '%s' "${how:-$2}"
}
"""
