"""The database before a release, as a dump that was read back whole."""

from __future__ import annotations

import shlex

from infra.steps.failure import FAILURE

# Without them it is not the application's database, whatever else is in it.
LEAST = ("alembic_version", "tasks", "users")


def backup(*, container: str, directory: str, keep: int) -> str:
    """Dump the database in `container` to `directory`, prove that it can be read, keep the newest `keep`.

    Its input names the image that is to come. It says where the dump is, its size in bytes and the seconds it
    took; for a database without tables that there is nothing yet. A dump has its final name only when it is
    proven. The directory is closed to other accounts, so that the file may be mounted for whatever uid.
    """
    return f"""set -eu
umask 077
postgres={shlex.quote(container)} directory={shlex.quote(directory)} keep={keep}
{FAILURE}{_BODY.replace("LEAST", " ".join(f"public.{table}" for table in LEAST))}"""


# Of each schema, without what came with an extension.
_TABLES = """SELECT n.nspname || '.' || c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
AND d.deptype = 'e')"""

# pg_dump's own status counts: its output goes to a file, not through a pipe. A migration holds locks; waiting
# for one at length would make those wait who come after.
_BODY = f"""image=$(sed -n 's/.*sha256:\\([0-9a-f]\\{{12\\}}\\).*/\\1/p' | head -n 1)
[ -n "$image" ] || fail 'backup: its input names no image by digest' 'give it the image that is released'
began=$(date +%s)
mkdir -p "$directory" || fail "backup: $directory cannot be made" 'let the account of the stack write there'
chmod 700 "$directory"
cd "$directory"
rm -f -- *.part
name="$(date -u +%Y%m%dT%H%M%SZ)-$image.dump"
part="$name.part"
trap 'rm -f -- "$part" "$name.sha256.part"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
asked() {{ # asked COMMAND…: in PostgreSQL's container
  docker exec -i -e PGOPTIONS='-c client_min_messages=error' "$postgres" "$@"
}}
told() {{ # told SQL: one value a line
  asked psql -XAtq -v ON_ERROR_STOP=1 -U postgres -d gad -c "$1" </dev/null 2>&1
}}

up="see why with docker logs $postgres, bring it up, then release again"
size=$(told "SELECT pg_database_size('gad')") ||
  fail "backup: PostgreSQL does not answer: $(reason "$size")" "$up"
tables=$(told "{_TABLES}") || fail "backup: PostgreSQL does not answer: $(reason "$tables")" "$up"
if [ -z "$tables" ]; then
  echo 'nothing to back up yet: the database has no tables'
  exit 0
fi
free=$(df --output=avail -B1 . | tail -n 1 | tr -d ' ')
if [ "$free" -lt "$size" ]; then
  need=$(((size + 1048575) / 1048576)) free=$((free / 1048576))
  fail "backup: the database has $need MiB, $directory has $free MiB free" 'make room there; release again'
fi

again='nothing has changed: correct it, then release again'
said=$(asked pg_dump -U postgres -d gad -Fc -Z zstd:3 --lock-wait-timeout=10s </dev/null 2>&1 >"$part") ||
  fail "backup: the dump failed: $(reason "$said")" "$again"
contents=$(asked pg_restore --list <"$part" 2>&1) ||
  fail "backup: the dump cannot be read: $(reason "$contents")" "$again"
for table in LEAST $tables; do
  case $contents in *" TABLE DATA ${{table%%.*}} ${{table#*.}} "*) ;; *)
    fail "backup: the dump lacks the rows of $table" 'see whether it is the database of the application' ;;
  esac
done
said=$(asked pg_restore -f /dev/null <"$part" 2>&1) ||
  fail "backup: the dump cannot be read to its end: $(reason "$said")" "$again"

sum=$(sha256sum <"$part")
printf '%s  %s\\n' "${{sum%% *}}" "$name" >"$name.sha256.part"
chmod 444 "$part"
sync "$part" "$name.sha256.part"
mv -f "$name.sha256.part" "$name.sha256"
mv -f "$part" "$name"
sync .
ls -1 | grep '\\.dump$' | sort -r | tail -n "+$((keep + 1))" | while read -r old; do
  [ "$old" = "$name" ] || rm -f -- "$old" "$old.sha256"
done
for sum in *.sha256; do
  [ -e "${{sum%.sha256}}" ] || rm -f -- "$sum"
done
echo "$directory/$name $(stat -c %s "$name") $(($(date +%s) - began))"
"""
