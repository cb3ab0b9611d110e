/**
 * Takes a lab down, and is all that takes one down: the library, the command and the warden of a killed owner run this. It finds what to remove by
 * the lab's token alone, so nothing that was made after the last word of a crashed process is missed:
 * processes by the lab's cgroup, namespaces, links and mounts by their names. It never goes by the names of processes.
 *
 * Arguments: token, folder of the lab, its cgroup, hardware address of its bridge. Repeating it is harmless.
 */
export const TEARDOWN_SCRIPT = `set -u
token=$1; folder=$2; cgroup=$3; address=$4
if [ -d "$cgroup" ]; then
  tries=0
  while grep -q '^populated 1' "$cgroup/cgroup.events" 2>/dev/null && [ $tries -lt 200 ]; do
    echo 1 > "$cgroup/cgroup.kill"; tries=$((tries + 1)); sleep 0.05
  done
fi
for namespace in /run/netns/plab-"$token"-*; do [ -e "$namespace" ] && ip netns delete "\${namespace##*/}"; done
for link in /sys/class/net/pl"$token"*; do [ -e "$link" ] && ip link delete "\${link##*/}"; done
bridges() { grep -lx "$address" /sys/class/net/plab-*/address 2>/dev/null; }
bridges | while read -r file; do file=\${file%/address}; ip link delete "\${file##*/}"; done
mounts() { while read -r _ point _; do printf '%b\\n' "$point"; done < /proc/mounts | grep -F "$folder/hosts/" | sort -r; }
mounts | while read -r point; do umount -l "$point"; done
if [ -d "$cgroup" ]; then find "$cgroup" -depth -type d -exec rmdir {} +; fi
[ ! -d "$cgroup" ] && [ -z "$(mounts)" ] && [ -z "$(bridges)" ]
`;

/**
 * Waits for its owner's end, seen as the end of its standard input, and takes the lab down then, however the owner ended. A line that says "keep"
 * dismisses it. Arguments: those of the teardown. It does it three times: a command that the owner had just begun may still make something.
 */
export const WARDEN_SCRIPT = `read -r word && [ "$word" = keep ] && exit 0
teardown() {
${TEARDOWN_SCRIPT}
}
teardown "$@"; sleep 1; teardown "$@"; sleep 1
teardown "$@" && rm -rf "$folder/hosts" "$folder/ssh" "$folder/services" "$folder/lab.json"
`;
