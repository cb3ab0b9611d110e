import { NETWORK_FUNCTIONS } from './network-script.js';

/** For the shell's own `${...}` in a template. */
const $ = '$';

/** How often the disk is looked at, in seconds. Between two looks a fast disk takes about 1 GiB, so a limit is overstepped by at most that. */
const DISK_LOOK_SECONDS = 0.5;

/** Each so many looks the folders are measured in any case: what another work frees may hide what this one takes. */
const LOOKS_BETWEEN_MEASURES = 40;

/** Work that takes less than this is never ended because the file system is nearly full. */
const INNOCENT_BYTES = 64 * 1024 * 1024;

/** Exit code of the script when the limits could not be set: nothing was run. Others such as env(1) use it in the same sense. */
export const WORK_NOT_STARTED = 125;

/**
 * Runs one confined command inside its limits, and cleans up behind it:
 * `/bin/bash --norc -c SCRIPT pipit-work NAME=VALUE... -- PROGRAM ARGUMENT...`. It is a shell's script, because it outlives pipit with its command.
 * It is bash, because a POSIX shell cannot close descriptors above 9.
 *
 * - `groups`: lines `<version> <controllers> <folder>` of control groups that may hold one for this command; `scope` or `scope --user`: systemd is
 *   asked for one. Each command has a group of its own, named for this process and its start, so that a sweep knows whose it was.
 * - `memory` (bytes), `tasks`, `cpu` (thousandths of a core): limits of the group.
 * - `disk` (bytes), `inodes`, `reserve` (bytes), `folders` (lines): what the folders may hold, and what has to stay free on their file system.
 * - `file` (bytes): the limit of one file that the command has, for the message.
 * - `report`: a file that gets one line for each limit that was broken; the line is also the last on standard error.
 * - `passwd`, `group`, `resolver`: texts of the descriptors 3, 4 and 5; `filter`: bytes of 8, as escapes of printf.
 * - `network=outbound` and its own: see {@link NETWORK_FUNCTIONS}.
 *
 * Its own names begin with `pw_`.
 */
export const WORK_SCRIPT = String.raw`
for pw_fd in /proc/self/fd/*; do
  pw_fd=${$}{pw_fd##*/}
  if [ "$pw_fd" -gt 2 ]; then exec {pw_fd}>&-; fi
done
pw_again=("$@")
pw_prefix= pw_groups= pw_memory= pw_tasks= pw_cpu= pw_disk= pw_inodes= pw_reserve= pw_folders= pw_report= pw_passwd= pw_group= pw_file=
pw_network= pw_allow= pw_blocked= pw_apart=() pw_userns= pw_resolver= pw_filter= pw_enter=()
pw_of_memory= pw_of_pids= pw_of_cpu= pw_watcher= pw_told=
while [ "$1" != -- ]; do
  printf -v "pw_${$}{1%%=*}" %s "${$}{1#*=}"
  shift
done
shift

${NETWORK_FUNCTIONS}
pw_fail() { echo "pipit: the limits of the sandbox could not be set: $1" >&2; exit ${WORK_NOT_STARTED}; }
pw_size() {
  if [ $(($1 % 1073741824)) = 0 ]; then pw_shown="$(($1 / 1073741824)) GiB"
  elif [ $(($1 % 1048576)) = 0 ]; then pw_shown="$(($1 / 1048576)) MiB"
  else pw_shown="$1 bytes"; fi
}
# Without a process of its own.
pw_pause() { read -r -t "$1" -u "$pw_never" || :; }
exec {pw_never}<> <(:)

read -r pw_stat < /proc/$$/stat
pw_stat=${$}{pw_stat##*) }
set -- "$pw_stat" "$@"
pw_words=($1); shift
pw_name=$pw_prefix-$$-${$}{pw_words[19]}

case $pw_groups in
scope*)
  pw_groups=${$}{pw_groups#scope}
  pw_own=()
  for pw_word in "${$}{pw_again[@]}"; do
    case $pw_word in groups=scope*) pw_word=groups=own ;; esac
    pw_own+=("$pw_word")
  done
  exec systemd-run $pw_groups --scope --quiet --collect --property=Delegate=yes --unit="$pw_name" -- \
    /bin/bash --norc -c "$BASH_EXECUTION_STRING" pipit-work "${$}{pw_own[@]}"
  pw_fail 'systemd-run cannot be started'
  ;;
own)
  # The scope is this work's: its processes belong below it, or no controller may be turned on.
  while IFS=: read -r pw_number pw_names pw_path; do
    [ "$pw_number" != 0 ] || pw_scope=/sys/fs/cgroup$pw_path
  done < /proc/self/cgroup
  mkdir "$pw_scope/supervisor" && echo $$ > "$pw_scope/supervisor/cgroup.procs" || pw_fail "$pw_scope is not ours"
  for pw_each in memory pids cpu; do
    if [[ " $(< "$pw_scope/cgroup.controllers") " == *" $pw_each "* ]]; then echo "+$pw_each" > "$pw_scope/cgroup.subtree_control"; fi
  done
  pw_groups="2 $(tr ' ' , < "$pw_scope/cgroup.controllers") $pw_scope"
  ;;
esac

pw_made=()
pw_v2=
while read -r pw_version pw_controllers pw_folder; do
  [ -n "$pw_folder" ] || continue
  pw_made+=("$pw_folder/$pw_name")
  if [ "$pw_version" = 2 ]; then pw_v2="$pw_folder/$pw_name"; fi
  [[ ",$pw_controllers," != *,memory,* ]] || pw_of_memory="$pw_folder/$pw_name"
  [[ ",$pw_controllers," != *,pids,* ]] || pw_of_pids="$pw_folder/$pw_name"
  [[ ",$pw_controllers," != *,cpu,* ]] || pw_of_cpu="$pw_folder/$pw_name"
done <<< "$pw_groups"

pw_remove() {
  [ "${$}{#pw_made[@]}" != 0 ] || return 0
  for pw_try in .002 .004 .008 .02 .05 .1 .2 .5 1 1 1; do
    if [ -n "$pw_v2" ]; then echo 1 > "$pw_v2/cgroup.kill"; fi
    for pw_each in "${$}{pw_made[@]}"; do
      while read -r pw_pid; do kill -KILL "$pw_pid"; done < "$pw_each/cgroup.procs"
    done
    rmdir "${$}{pw_made[@]}"
    for pw_each in "${$}{pw_made[@]}"; do
      if [ -e "$pw_each" ]; then pw_pause "$pw_try"; continue 2; fi
    done
    return 0
  done
} 2>/dev/null
if [ "${$}{#pw_made[@]}" != 0 ]; then
  mkdir "${$}{pw_made[@]}" 2>/dev/null || { pw_remove; pw_fail 'no control group can be made'; }
fi
pw_set() { echo "$2" > "$1" && read -r pw_is < "$1" && [ "$pw_is" = "$2" ]; } 2>/dev/null
if [ -n "$pw_of_memory" ]; then
  pw_whole=$((pw_memory / 4096 * 4096))
  if [ -n "$pw_v2" ]; then
    pw_set "$pw_of_memory/memory.max" "$pw_whole" || { pw_remove; pw_fail 'memory.max'; }
    pw_set "$pw_of_memory/memory.swap.max" 0
  else
    pw_set "$pw_of_memory/memory.limit_in_bytes" "$pw_whole" || { pw_remove; pw_fail 'memory.limit_in_bytes'; }
    pw_set "$pw_of_memory/memory.memsw.limit_in_bytes" "$pw_whole"
  fi
fi
if [ -n "$pw_of_pids" ]; then
  pw_set "$pw_of_pids/pids.max" "$pw_tasks" || { pw_remove; pw_fail 'pids.max'; }
fi
if [ -n "$pw_of_cpu" ]; then
  if [ -n "$pw_v2" ]; then
    pw_set "$pw_of_cpu/cpu.max" "$((pw_cpu * 100)) 100000" || { pw_remove; pw_fail 'cpu.max'; }
  else
    pw_set "$pw_of_cpu/cpu.cfs_quota_us" "$((pw_cpu * 100))" || { pw_remove; pw_fail 'cpu.cfs_quota_us'; }
  fi
fi

pw_measure() {
  pw_bytes=0 pw_files=0
  local pw_size_of pw_path pw_more=()
  while read -r pw_size_of pw_path; do pw_bytes=$((pw_bytes + pw_size_of)); done < <(du -sx -B1 -- "${$}{pw_at[@]}" 2>/dev/null)
  while read -r pw_size_of pw_path; do pw_files=$((pw_files + pw_size_of)); done < <(du -sx --inodes -- "${$}{pw_at[@]}" 2>/dev/null)
  [ "${$}{#pw_made[@]}" != 0 ] || return 0
  # Files that were removed and are still open fill the disk too.
  while read -r pw_pid; do pw_more+=(/proc/"$pw_pid"/fd/*); done < "${$}{pw_made[0]}/cgroup.procs"
  [ "${$}{#pw_more[@]}" != 0 ] || return 0
  while read -r pw_links pw_device pw_blocks pw_inode; do
    if [ "$pw_links" = 0 ] && [ "$pw_device" = "$pw_disk_device" ]; then pw_bytes=$((pw_bytes + pw_blocks * 512)); fi
  done < <(stat -L -c '%h %d %b %i' -- "${$}{pw_more[@]}" 2>/dev/null | sort -u)
} 2>/dev/null
pw_free() { read -r pw_blocks pw_unit pw_free_inodes < <(stat -f -c '%a %S %d' -- "${$}{pw_at[0]}") && pw_free_bytes=$((pw_blocks * pw_unit)); }
pw_end() {
  if [ -n "$pw_v2" ]; then echo 1 > "$pw_v2/cgroup.kill"; fi
  for pw_each in "${$}{pw_made[@]}"; do
    while read -r pw_pid; do kill -KILL "$pw_pid"; done < "$pw_each/cgroup.procs"
  done
  kill -KILL "$pw_child"
} 2>/dev/null
pw_break() { echo "$1"; pw_end; }
pw_watch_disk() {
  trap - TERM
  mapfile -t pw_at <<< "$pw_folders"
  local pw_disk_device= pw_looks=0 pw_seen_free= pw_seen_inodes= pw_limit
  while :; do
    pw_pause ${DISK_LOOK_SECONDS}
    pw_free || return
    [ -n "$pw_disk_device" ] || pw_disk_device=$(stat -c %d -- "${$}{pw_at[0]}")
    if [ -n "$pw_seen_free" ] && [ $((pw_looks % ${LOOKS_BETWEEN_MEASURES})) != 0 ] && [ "$pw_free_bytes" -ge "$pw_reserve" ] &&
      [ $((pw_bytes + pw_seen_free - pw_free_bytes)) -lt "$pw_disk" ] && [ $((pw_files + pw_seen_inodes - pw_free_inodes)) -lt "$pw_inodes" ]; then
      pw_looks=$((pw_looks + 1))
      continue
    fi
    pw_looks=$((pw_looks + 1))
    pw_measure
    pw_seen_free=$pw_free_bytes pw_seen_inodes=$pw_free_inodes
    if [ "$pw_bytes" -ge "$pw_disk" ]; then pw_size "$pw_disk"; pw_break "disk limit $pw_shown: the folders of the work hold more"; return; fi
    if [ "$pw_files" -ge "$pw_inodes" ]; then pw_break "limit of $pw_inodes files: the folders of the work hold more"; return; fi
    if [ "$pw_free_bytes" -lt "$pw_reserve" ] && [ "$pw_bytes" -ge ${INNOCENT_BYTES} ]; then
      pw_size "$pw_reserve"
      pw_break "less than $pw_shown is left on the disk, and the work holds much of it"
      return
    fi
  done
}

[ "$pw_network" != outbound ] || pw_network_prepare

exec {pw_in}<&0 {pw_out}>&1 {pw_err}>&2
{
  (
    trap - INT QUIT TERM
    for pw_each in "${$}{pw_made[@]}"; do
      echo "$BASHPID" > "$pw_each/cgroup.procs" || { echo "pipit: $pw_each cannot be entered" >&"$pw_err"; exit ${WORK_NOT_STARTED}; }
    done
    if [ -n "$pw_passwd" ]; then exec 3<<< "$pw_passwd" 4<<< "$pw_group"; fi
    if [ -n "$pw_resolver" ]; then exec 5<<< "$pw_resolver"; fi
    if [ -n "$pw_filter" ]; then exec 8< <(printf %b "$pw_filter"); fi
    if [ -n "$pw_enter" ]; then exec 6>&"$pw_up" 7<&"$pw_go" {pw_up}>&- {pw_go}>&-; fi
    exec "${$}{pw_enter[@]}" "$@" 2>&"$pw_err" {pw_in}<&- {pw_out}>&- {pw_err}>&- {pw_never}<&-
  ) <&"$pw_in" &
  pw_child=$!
  trap 'kill -TERM "$pw_child"' TERM
  pw_line=
  if [ -n "$pw_enter" ] && ! pw_network_connect; then
    pw_line='the network of the sandbox could not be set up'
    kill -KILL "$pw_child"
  fi
  if [ -n "$pw_disk" ] && [ -n "$pw_folders" ]; then
    exec {pw_told}< <(exec {pw_in}<&- {pw_out}>&- {pw_err}>&-; pw_watch_disk)
    pw_watcher=$!
  fi
  while :; do
    wait "$pw_child"
    pw_code=$?
    kill -0 "$pw_child" || break
  done
  trap '' TERM
  [ -z "$PW_NETWORK_PID" ] || kill -KILL "$PW_NETWORK_PID"
  [ -z "$pw_line" ] || pw_code=${WORK_NOT_STARTED}
  if [ -n "$pw_watcher" ]; then
    kill -TERM "$pw_watcher"
    [ -n "$pw_line" ] || read -r pw_line <&"$pw_told"
  fi
} 2>/dev/null

if [ "$pw_code" != 0 ] && [ -z "$pw_line" ]; then
  for pw_each in memory.events memory.oom_control; do
    [ -n "$pw_of_memory" ] && [ -e "$pw_of_memory/$pw_each" ] || continue
    while read -r pw_event pw_count; do
      if [ "$pw_event" = oom_kill ] && [ "$pw_count" != 0 ]; then
        pw_size "$pw_memory"
        pw_line="memory limit $pw_shown: the kernel ended a process"
      fi
    done < "$pw_of_memory/$pw_each"
  done
  if [ -z "$pw_line" ] && [ -n "$pw_of_pids" ]; then
    while read -r pw_event pw_count; do
      if [ "$pw_event" = max ] && [ "$pw_count" != 0 ]; then pw_line="limit of $pw_tasks tasks: a process or thread could not be started"; fi
    done < "$pw_of_pids/pids.events"
  fi
  # 128 + SIGXFSZ.
  if [ -z "$pw_line" ] && [ "$pw_code" = 153 ]; then pw_size "$pw_file"; pw_line="file limit $pw_shown: a process was ended that wrote a larger one"; fi
fi 2>/dev/null
pw_remove
if [ -n "$pw_line" ]; then
  echo "pipit: $pw_line" >&2
  [ -z "$pw_report" ] || echo "$pw_line" > "$pw_report"
fi
exit "$pw_code"
`;
