/** A service that ran at least this long counts as having started: the next restart is quick again. */
const STEADY_SECONDS = 10;

/** Bytes a service's log may have; half of it, its end, stays. */
export const MAX_SERVICE_LOG_BYTES = 1024 * 1024;

/** Pauses before restarts in a row, in seconds, after the unit's own RestartSec. */
const BACKOFF_SECONDS = [1, 2, 4, 8, 16, 30];

/** RestartSec first, then longer and longer, never shorter than RestartSec. */
export const restartPauses = (restartMs: number): string =>
  [restartMs / 1000, ...BACKOFF_SECONDS.map((pause) => Math.max(pause, restartMs / 1000))].join(' ');

/**
 * Keeps one service running, for `/bin/sh -c SCRIPT pipit-service LOG RESTART PAUSES MAX_LOG_BYTES PROGRAM ARGUMENT...`.
 * A shell's script, because there is one for each service and it has to outlive pipit.
 */
export const SUPERVISOR_SCRIPT = `
ps_log=$1; ps_restart=$2; ps_pauses=$3; ps_max=$4; shift 4
exec >> "$ps_log" 2>&1
ps_child=
trap 'trap "" TERM; [ -z "$ps_child" ] || { kill -TERM "$ps_child" 2>/dev/null; wait "$ps_child"; }; exit 0' TERM
(
  trap - TERM
  while sleep 5; do
    [ "$(stat -c %s "$ps_log")" -le "$ps_max" ] && continue
    tail -c "$((ps_max / 2))" "$ps_log" > "$ps_log.end"
    # Every writer appends, so each goes on at the new end.
    cat "$ps_log.end" > "$ps_log"
    rm -f "$ps_log.end"
  done
) &
ps_left=$ps_pauses
while :; do
  ps_began=$(date +%s)
  ( trap - TERM; exec "$@" ) < /dev/null &
  ps_child=$!
  wait "$ps_child"
  ps_code=$?
  ps_child=
  [ "$(($(date +%s) - ps_began))" -lt ${STEADY_SECONDS} ] || ps_left=$ps_pauses
  echo "pipit: the service ended with $ps_code"
  case $ps_restart in
    no) exit "$ps_code" ;;
    on-failure) [ "$ps_code" != 0 ] || exit 0 ;;
  esac
  sleep "\${ps_left%% *}" &
  wait $!
  case $ps_left in *' '*) ps_left=\${ps_left#* } ;; esac
done
`;
