import { TRIES_FUNCTIONS } from './host-tries-text.js';

/**
 * Starts the host script on a host so that it outlives the connection: POSIX sh, by root. Told by environment: `PIPIT_PACKAGE`, `PIPIT_ID`, `PIPIT_AT`;
 * the try (its values and `HOST_SCRIPT`) comes on standard input. A transient systemd unit where systemd runs, else a session of its own.
 *
 * It says one line: `launch started <tries>`, `launch running <tries>`, `launch ended <tries>` (there is an outcome), `launch full` when the
 * host cannot keep the try, or `launch refused <why>` in systemd's words. Asked again it starts nothing twice: who is at work holds a lock on
 * `outcomes/<id>.run`.
 */
export const HOST_LAUNCH = String.raw`
set -u
umask 022
state=/var/lib/pipit/$PIPIT_PACKAGE
base=$state/outcomes/$PIPIT_ID
full() { rm -f -- "$base.new"; echo 'launch full'; exit 0; }
# Its values may be secrets, and nothing will run it.
refused() { rm -f -- "$base.sh"; echo "launch refused $(printf '%s' "$said" | tr '\n' ' ')"; exit 0; }
[ -d "$state/outcomes" ] || mkdir -p "$state/outcomes" 2>/dev/null || full
${TRIES_FUNCTIONS}
count_tries "$base.run"
is_running() { [ -e "$base.run" ] && ! flock --shared --nonblock 8 8<"$base.run"; }
if [ -f "$base.json" ]; then echo "launch ended $tries"; exit 0; fi
if is_running; then echo "launch running $tries"; exit 0; fi
# What a crash leaves of it is written anew by the next launch; what a cut connection leaves of it does nothing (see renderHostTry).
(umask 077 && cat >"$base.new") 2>/dev/null && [ -s "$base.new" ] && mv -f -- "$base.new" "$base.sh" || full
echo "$PIPIT_AT" >>"$base.run" || full
tries=$((tries + 1))
# Who only looks whether somebody is at work holds the lock for a moment too: it is waited for.
# The lock is kept by flock itself and not by what it runs: a service that an install starts would keep it for ever.
if [ -d /run/systemd/system ]; then
  said=$(systemd-run --quiet --collect --unit="pipit-$PIPIT_ID-$tries" --description="pipit installs $PIPIT_PACKAGE" \
    flock --wait 10 --close "$base.run" /bin/sh "$base.sh" 2>&1 </dev/null) || refused
else
  setsid nohup flock --wait 10 --close "$base.run" /bin/sh "$base.sh" </dev/null >/dev/null 2>&1 &
fi
waited=0
until [ -f "$base.json" ] || is_running; do
  [ "$waited" -ge 100 ] && break
  waited=$((waited + 1))
  sleep 0.05
done
echo "launch started $tries"
`;
