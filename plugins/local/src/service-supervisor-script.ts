/** A service that ran at least this long counts as having started: the next restart is quick again. */
const STEADY_SECONDS = 10;

/** Bytes a service's log may have: its end in `log`, what came before in `log.before`. */
export const MAX_SERVICE_LOG_BYTES = 1024 * 1024;

/** The supervisor's exit code when it was told to end (128 + SIGTERM), whatever the service's was. */
export const ENDED_BY_TERM = 143;

/** Pauses before restarts in a row, in seconds, after the unit's own RestartSec. */
const BACKOFF_SECONDS = [1, 2, 4, 8, 16, 30];

/** RestartSec first, then longer and longer, never shorter than RestartSec. */
export const restartPauses = (restartMs: number): string =>
  [restartMs / 1000, ...BACKOFF_SECONDS.map((pause) => Math.max(pause, restartMs / 1000))].join(' ');

/**
 * Keeps one service running, for `/bin/sh -c SCRIPT pipit-service LOG RESTART PAUSES MAX_LOG_BYTES PROGRAM ARGUMENT...`.
 * A shell's script, because there is one for each service and it has to outlive pipit.
 *
 * What the service prints passes through a pipe to a writer that begins a new file at half of the limit, so that no burst fills the disk.
 * The writer ignores SIGTERM, to hear the last words, and ends when nobody holds the pipe any more.
 */
export const SUPERVISOR_SCRIPT = `
ps_log=$1; ps_restart=$2; ps_pauses=$3; ps_half=$(($4 / 2)); shift 4
ps_child=
ps_write() {
  umask 077
  trap '' TERM
  while :; do
    ps_size=$(stat -c %s "$ps_log" 2>/dev/null || echo 0)
    if [ "$ps_size" -ge "$ps_half" ]; then mv -f "$ps_log" "$ps_log.before"; ps_size=0; fi
    # A full disk costs the service its log, and never its life.
    stdbuf -o0 head -c "$((ps_half - ps_size))" >> "$ps_log" || { timeout 1 cat > /dev/null; continue; }
    [ "$(stat -c %s "$ps_log")" -ge "$ps_half" ] || break
  done
}
ps_end() {
  exec > /dev/null 2>&1
  # A process that the service left behind may hold the pipe.
  ( trap - TERM; sleep 2; kill -KILL "$ps_writer" ) &
  wait "$ps_writer"
  exit "$1"
}
rm -f "$ps_log.pipe"
mkfifo -m 600 "$ps_log.pipe" || exit 1
ps_write < "$ps_log.pipe" > /dev/null 2>&1 &
ps_writer=$!
exec > "$ps_log.pipe" 2>&1
rm -f "$ps_log.pipe"
trap 'trap "" TERM; [ -z "$ps_child" ] || { kill -TERM "$ps_child" 2>/dev/null; wait "$ps_child"; }; ps_end ${ENDED_BY_TERM}' TERM
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
    no) ps_end "$ps_code" ;;
    on-failure) [ "$ps_code" != 0 ] || ps_end 0 ;;
  esac
  sleep "\${ps_left%% *}" &
  wait $!
  case $ps_left in *' '*) ps_left=\${ps_left#* } ;; esac
done
`;
