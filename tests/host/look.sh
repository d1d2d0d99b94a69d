# Run in a container by `sh -c`: what its kernel, its processes and its mounts show. No quotes of a shell around.
section() { printf '\n== %s\n' "$1"; }

section uid
id -u
id -g

section processes
fields='^(Pid|PPid|Uid|CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):'
for status in /proc/[0-9]*/status; do
  grep -E "$fields" "$status" 2>/dev/null | tr '\n\t' '  '
  echo
done

section environ
cat /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | sort -u

# Control groups, version 1 and 2.
section pids
cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max

section memory
cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max

section cpu
if [ -d /sys/fs/cgroup/cpu ]; then
  echo "$(cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us)" "$(cat /sys/fs/cgroup/cpu/cpu.cfs_period_us)"
else
  cat /sys/fs/cgroup/cpu.max
fi

section mounts
cat /proc/mounts

section write
(: > /gad-verify) 2>&1 && rm -f /gad-verify && echo written

section sockets
for socket in /run/docker.sock /var/run/docker.sock /run/containerd/containerd.sock; do
  [ ! -e "$socket" ] || echo "$socket"
done

section names
cat /etc/resolv.conf

section end
