/** How long a task has to end by itself after SIGTERM, in seconds. */
export const STOP_GRACE_SECONDS = 5;

/** The files that a task's folder holds. All are written by the runner, under a name of their own first, so that none is ever half there. */
export const TASK_FILES = {
  /** Pid, start time and boot of the runner. Whoever makes it owns the task: it is linked into place, so that of two runners one wins. */
  started: 'started',
  /** Pid and start time of the task itself, which leads a process group of its own. */
  child: 'child',
  /** Exit code and reason. */
  ended: 'ended',
  /** Standard output and standard error. */
  log: 'log',
} as const;

/**
 * The runner of one detached task, for `/bin/sh -c SCRIPT pipit-task FOLDER TIME_LIMIT_SECONDS MAX_OUTPUT_BYTES PROGRAM ARGUMENT...`.
 * It is a shell's script because it must outlive pipit, cost little memory and be there both from source and from a built package.
 *
 * - Its own names begin with `pt_`: the task's environment is the shell's.
 * - `setsid` makes the task the leader of a group, so that limits and a stop end whatever it started.
 * - `head` cuts the output exactly. One byte more than allowed is let through, which tells `full` from `too much`.
 * - The runner's helpers are in its own group, and are ended with it. One that outlives a killed runner still holds the time limit, and
 *   looks first whether the task's pid is still the task's.
 */
export const RUNNER_SCRIPT = `
pt_folder=$1; pt_limit=$2; pt_max=$3; shift 3
pt_path=\${PATH-}; pt_has_path=\${PATH+yes}
PATH=/usr/bin:/bin:/usr/sbin:/sbin
umask 077

pt_start_of() {
  read -r pt_stat < "/proc/$1/stat" || return 1
  set -- \${pt_stat##*) }
  shift 19
  pt_start=$1
}
pt_keep() {
  sync "$pt_folder/$1.$$" && mv "$pt_folder/$1.$$" "$pt_folder/$1" && sync "$pt_folder"
}
pt_kill_child() {
  pt_start_of "$pt_child" && [ "$pt_start" = "$pt_child_start" ] || return 1
  kill "-$1" "-$pt_child" || kill "-$1" "$pt_child"
}
pt_end() {
  ( set -C; echo "$1" > "$pt_folder/reason" )
  pt_kill_child TERM || return
  sleep ${STOP_GRACE_SECONDS}
  pt_kill_child KILL
} 2>/dev/null

pt_signalled=
trap 'pt_signalled=yes' TERM
trap '' HUP INT
pt_start_of $$ || exit 1
read -r pt_boot < /proc/sys/kernel/random/boot_id || exit 1
echo "$$ $pt_start $pt_boot" > "$pt_folder/started.$$" && sync "$pt_folder/started.$$" || exit 1
ln "$pt_folder/started.$$" "$pt_folder/started" 2>/dev/null
pt_linked=$?
rm -f "$pt_folder/started.$$"
[ "$pt_linked" = 0 ] || exit 0
sync "$pt_folder"

rm -f "$pt_folder/pipe"
: > "$pt_folder/log"
mkfifo "$pt_folder/pipe" || exit 1
(
  umask 022
  trap - TERM
  if [ "$pt_has_path" = yes ]; then PATH=$pt_path; else unset PATH; fi
  unset PWD OLDPWD
  exec /usr/bin/setsid "$@"
) > "$pt_folder/pipe" 2>&1 < /dev/null &
pt_child=$!
pt_start_of "$pt_child" 2>/dev/null && pt_child_start=$pt_start && echo "$pt_child $pt_start" > "$pt_folder/child.$$" && pt_keep child
(
  trap - TERM
  stdbuf -o0 head -c "$((pt_max + 1))" < "$pt_folder/pipe" > "$pt_folder/log"
  [ "$(stat -c %s "$pt_folder/log")" -le "$pt_max" ] || pt_end outputLimit
) &
pt_watcher=$!
( trap - TERM; sleep "$pt_limit" && pt_end timeLimit ) &

pt_stopping=
while :; do
  if [ -n "$pt_signalled" ] && [ -z "$pt_stopping" ]; then
    pt_stopping=yes
    ( trap - TERM; pt_end stopped ) &
  fi
  pt_signalled=
  wait "$pt_child"
  pt_code=$?
  [ -n "$pt_signalled" ] || break
done
trap '' TERM
kill -KILL "-$pt_child" 2>/dev/null
( trap - TERM; sleep 2; kill -TERM "$pt_watcher" ) 2>/dev/null &
wait "$pt_watcher"

pt_reason=
[ ! -f "$pt_folder/reason" ] || read -r pt_reason < "$pt_folder/reason"
[ "$(stat -c %s "$pt_folder/log")" -le "$pt_max" ] || pt_reason=outputLimit
echo "$pt_code $pt_reason" > "$pt_folder/ended.$$"
sync "$pt_folder/log"
rm -f "$pt_folder/pipe" "$pt_folder/reason"
pt_keep ended
kill -TERM "-$$"
`;
