#!/bin/bash
# The first process of a small virtual machine with control groups v2: runs commands in the work's script, each harmful one only after the limit was
# read back, and prints what came of them.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 groups /sys/fs/cgroup
mount -t tmpfs memory /tmp
mount -t devtmpfs devices /dev
ln -s /proc/self/fd /dev/fd
exec > /dev/ttyS0 2>&1
for each in memory pids cpu; do echo "+$each" > /sys/fs/cgroup/cgroup.subtree_control; done
mkdir /tmp/work

work() {
  bash --norc -c "$(< /work.sh)" pipit-work prefix=pipit-vm 'groups=2 memory,pids,cpu /sys/fs/cgroup' memory=67108864 tasks=20 cpu=500 \
    disk=20000000 inodes=1000 file=1000000000 reserve=0 folders=/tmp/work "$@"
}
# shellcheck disable=SC2016 # for the confined shell
own='IFS=: read -r _ _ group < /proc/self/cgroup; group=/sys/fs/cgroup$group; is() { read -r found < "$group/$1"; [ "$found" = "$2" ]; }; '

echo "== limits"
work -- bash -c "$own"'for each in memory.max memory.swap.max pids.max cpu.max; do read -r found < "$group/$each"; echo "$each $found"; done; exit 3'
echo "exit $?"
echo "== memory"
work -- bash -c "$own"'is memory.max 67108864 && x=$(head -c 300000000 /dev/zero | tr "\0" a); echo survived'
echo "exit $?"
echo "== tasks"
work -- bash -c "$own"'is pids.max 20 && for ((i = 0; i < 25; i++)); do sleep 1000 & done; exit 1' 2>&1 | grep ^pipit
echo "== disk"
work -- bash -c "$own"'is memory.max 67108864 && while :; do head -c 1000000 /dev/zero >> /tmp/work/x; sleep 0.05; done'
echo "exit $?"
echo "== left"
work -- bash -c 'sleep 1000 & disown; exit 0'
for each in /proc/[0-9]*; do [ "$(tr '\0' ' ' < "$each/cmdline")" != 'sleep 1000 ' ] || echo "left $each"; done
for each in /sys/fs/cgroup/pipit-*; do [ ! -e "$each" ] || echo "left $each"; done
echo "== end"
poweroff -f
