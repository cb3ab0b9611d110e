import { CHECK_FUNCTIONS } from './host-check-text.js';
import { OWNERSHIP_FUNCTIONS } from './host-ownership-text.js';
import { DEB_FUNCTIONS } from './host-script-deb.js';
import { DEB_INSTALL_FUNCTIONS } from './host-script-deb-install.js';
import { RPM_FUNCTIONS } from './host-script-rpm.js';

/** For the shell's own `${...}` in a template. */
const $ = '$';

/**
 * Installs one package on one host: POSIX sh, the same text for a host that is a folder of this machine and for a real one.
 *
 * All values come as environment (see `hostScriptEnvironment`), none is ever part of the text. It is long because it has to be one file
 * that can be copied to a host; its functions stand in the order in which the steps happen.
 *
 * Kept for each package in `$PIPIT_ROOT/var/lib/pipit/<package>`: `lock`, `intent.json`, `receipt.json` and, a try, `outcomes/<id>.json` and
 * `outcomes/<id>.log`. An intent without a receipt of the same key is an install of ours that was interrupted or failed. While one is under
 * way, `touched` names the other packages that it brings. What another app's install has left half-way is that app's to repair: it is not
 * touched, and stops nothing here.
 *
 * Everything under the host's lock has `$PIPIT_LIMIT_SECONDS` together; what is still at work then is ended, with all its processes.
 */
export const HOST_SCRIPT = String.raw`#!/bin/sh
# pipit: installs one package on this host. Values come as environment; nothing here is generated.
set -u
umask 022
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

root=$PIPIT_ROOT
state=$root/var/lib/pipit/$PIPIT_PACKAGE
outcome=$state/outcomes/$PIPIT_ID.json
log=$state/outcomes/$PIPIT_ID.log
work=$state/work-$PIPIT_ID
locked=no
step=
health=
standing=
newline='
'
started=$(date -u '+%Y-%m-%dT%H:%M:%SZ %s')
started_second=${$}{started#* }
started=${$}{started% *}

[ -d "$state/outcomes" ] || mkdir -p "$state/outcomes" || exit 70
exec >>"$log" 2>&1 </dev/null

# --- what is read and written ---------------------------------------------------------------------------------------------------------
# By the shell itself where it can: hosts may be small, and each process costs more than all of this.

# write_whole FILE FORMAT VALUE...: replaced in one step; what a reader or a crash sees is the old one or the new one.
write_whole() {
  whole=$1
  shift
  printf "$@" >"$whole.new.$$" && sync -- "$whole.new.$$" && mv -f -- "$whole.new.$$" "$whole"
}

# read_text FILE: sets text to what it says, or to nothing.
read_text() {
  text=
  [ -f "$1" ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do text=$text$line$newline; done <"$1"
  text=${$}{text%"$newline"}
}

# write_changed FILE TEXT: only where it says something else.
write_changed() {
  read_text "$1"
  [ "$text" = "$2" ] || write_whole "$1" '%s\n' "$2"
}

# write_keys PREFIX: a file for each block, for apt reads only the first of a file.
write_keys() {
  number=0
  rest=$PIPIT_KEYS
  until [ -z "$rest" ]; do
    number=$((number + 1))
    write_changed "$1-$number.asc" "${$}{rest%%"$end_of_key"*}$end_of_key"
    rest=${$}{rest#*"$end_of_key"}
    rest=${$}{rest#"$newline"}
  done
}
end_of_key='-----END PGP PUBLIC KEY BLOCK-----'

# field JSON NAME: sets value. Of what this script wrote: one line, and no quotes in its values.
field() {
  value=
  case $1 in *"\"$2\":"*) ;; *) return 0 ;; esac
  value=${$}{1#*"\"$2\":"}
  case $value in
    '"'*)
      value=${$}{value#'"'}
      value=${$}{value%%'"'*}
      ;;
    *) value=${$}{value%%[,\}]*} ;;
  esac
}

read_kept() {
  read_text "$state/receipt.json"
  field "$text" key && receipt_key=$value
  field "$text" version && receipt_version=$value
  field "$text" digest && receipt_digest=$value
  field "$text" sequence && receipt_sequence=$value
  read_text "$state/intent.json"
  field "$text" key && intent_key=$value
  field "$text" version && intent_version=$value
  field "$text" sequence && intent_sequence=$value
}

json_text() {
  printf '%s' "$1" | tr '\n\t' '  ' | tr -d '\000-\037' | sed 's/\\/\\\\/g; s/"/\\"/g'
}

# begin STEP, and said: all that came into the log since then.
begin() {
  step=$1
  echo "pipit: $step"
}
said() { awk -v from="pipit: $step" '$0 == from { text = ""; next } { text = text $0 "\n" } END { printf "%s", text }' "$log"; }

# What stands on the host when it did not end well, with the receipt where that speaks of it.
present() {
  read_kept
  "$PIPIT_FORMAT"_read_standing
  [ -n "$standing" ] || return 0
  if ! is_ours "$state" "$standing" "$standing_mark"; then
    printf ',"foreign":{"name":"%s","version":"%s"}' "$PIPIT_PACKAGE" "$(json_text "$standing")"
  elif [ "$receipt_version" = "$standing" ]; then
    printf ',"present":{"version":"%s","digest":"%s","sequence":%s}' "$standing" "$receipt_digest" "$receipt_sequence"
  else
    printf ',"present":{"version":"%s"}' "$standing"
  fi
}

# conclude STATE CODE MESSAGE
conclude() {
  ended=$1
  message=
  [ -z "$3" ] || message=$(json_text "$3")
  case $ended in installed | unchanged) more=$health ;; *) more=$(present) ;; esac
  write_whole "$outcome" '{"key":"%s","state":"%s","code":"%s","message":"%s","version":"%s","digest":"%s","sequence":%s,"startedAt":"%s","endedAt":"%s"%s}\n' \
    "$PIPIT_KEY" "$ended" "$2" "$message" "$PIPIT_VERSION" "$PIPIT_DIGEST" "$PIPIT_SEQUENCE" "$started" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$more"
  echo "pipit: $ended $2 $3"
  # A second launch of this try may have shipped it again, in vain: its values may be secrets.
  [ "$locked" = yes ] && rm -rf -- "$work" "$state/outcomes/$PIPIT_ID.sh"
  # Only the newest hundred tries are kept, or a few more (two files each, or three); their names are hexadecimal.
  set -- "$state"/outcomes/*
  if [ "$#" -gt 330 ]; then
    (cd "$state/outcomes" && ls -t | tail -n +301 | while IFS= read -r old; do rm -f -- "$old"; done)
  fi
  case $ended in installed | unchanged) exit 0 ;; *) exit 1 ;; esac
}

# limited COMMAND...: within what is left of the time, in a process group of its own, which is ended with it. Sets status too.
limited() {
  left=$((deadline - $(date +%s)))
  [ "$left" -ge 1 ] || left=1
  timeout --kill-after=10 "$left" "$@" 9>&- </dev/null &
  group=$!
  wait "$group"
  status=$?
  # A post-install script may have refused to end with the package manager.
  case $status in 124 | 137) kill -s KILL -- "-$group" 2>/dev/null ;; esac
  return "$status"
}

conclude_if_late() {
  [ "$(date +%s)" -ge "$deadline" ] || return 0
  conclude failed HOST_INSTALL_TIMED_OUT "$PIPIT_PACKAGE $PIPIT_VERSION was not installed within $PIPIT_LIMIT_SECONDS s on this host, and was ended ($step)"
}

# Sets found.
find_digest() {
  found=$(sha256sum <"$1")
  found=sha256:${$}{found%% *}
}

# --- the package manager: each step by its name in the functions below -----------------------------------------------------------------

${OWNERSHIP_FUNCTIONS}
${DEB_FUNCTIONS}
${DEB_INSTALL_FUNCTIONS}
${RPM_FUNCTIONS}
${CHECK_FUNCTIONS}
# --- the steps -------------------------------------------------------------------------------------------------------------------------

take_lock() {
  # Another app's post-install script may have left something else here. A pipe that is opened for both ways makes nobody wait.
  if [ -e "$state/../lock" ] && [ ! -f "$state/../lock" ]; then rm -rf -- "$state/../lock"; fi
  exec 9<>"$state/../lock"
  if ! flock -w "$PIPIT_LOCK_WAIT_SECONDS" 9; then
    read_text "$state/../lock"
    conclude failed HOST_BUSY "Another install${$}{text:+ ($text)} has been at work on this host for over $PIPIT_LOCK_WAIT_SECONDS s"
  fi
  locked=yes
  deadline=$(($(date +%s) + PIPIT_LIMIT_SECONDS))
  # For who waits.
  echo "$PIPIT_PACKAGE $PIPIT_VERSION of app $PIPIT_APP, since $(date -u +%Y-%m-%dT%H:%M:%SZ)" >"$state/../lock" 2>/dev/null
}

finish_if_done() {
  [ "$receipt_key" = "$PIPIT_KEY" ] && [ "$standing" = "$PIPIT_VERSION" ] && [ "$receipt_digest" = "$PIPIT_DIGEST" ] && end_well unchanged
}

# refuse_older SEQUENCE VERSION, as a receipt or an intent says them
refuse_older() {
  case $1 in '' | *[!0-9]*) return 0 ;; esac
  if [ "$1" -gt "$PIPIT_SEQUENCE" ]; then
    conclude refused HOST_SEQUENCE_OLDER "This host has seen sequence $1 ($2); sequence $PIPIT_SEQUENCE ($PIPIT_VERSION) is older"
  fi
}

read_ours() { # an install of ours that did not end: an intent that no receipt answers
  ours=no
  [ -n "$intent_key" ] && [ "$intent_key" != "$receipt_key" ] && ours=yes
}

stamp_intent() {
  write_whole "$state/intent.json" '{"key":"%s","app":"%s","version":"%s","digest":"%s","sequence":%s,"at":"%s"}\n' \
    "$PIPIT_KEY" "$PIPIT_APP" "$PIPIT_VERSION" "$PIPIT_DIGEST" "$PIPIT_SEQUENCE" "$started" ||
    conclude failed HOST_DISK_FULL "$state/intent.json cannot be written on this host. Nothing was installed"
}

check_clock() {
  [ -n "$PIPIT_NOW" ] || return 0
  skew=$((started_second - PIPIT_NOW))
  [ "$skew" -lt 0 ] && skew=$((-skew))
  if [ "$skew" -gt 300 ]; then
    conclude failed HOST_CLOCK_WRONG "The clock of this host is $skew s away from pipit's: $started"
  fi
}

check_space() {
  [ -n "$PIPIT_SIZE" ] || return 0
  needed=$((PIPIT_SIZE * 2 / 1024 + 1))
  free=$(df -k --output=avail -- "$state")
  free=${$}{free##*[!0-9]}
  if [ "$free" -lt "$needed" ]; then
    conclude failed HOST_DISK_FULL "$free KiB are free on this host; $PIPIT_PACKAGE needs $needed KiB (twice its size)"
  fi
}

check_digest() {
  find_digest "$file"
  if [ "$found" != "$PIPIT_DIGEST" ]; then
    conclude failed HOST_DIGEST_MISMATCH "The rollout expects $PIPIT_DIGEST of $PIPIT_PACKAGE $PIPIT_VERSION, the repository gives $found. Nothing was installed"
  fi
}

show_services() { # for the log, when something is wrong with them
  [ "$PIPIT_RESTART" = systemd ] || return 0
  for service in $PIPIT_SERVICES; do
    systemctl status --no-pager --lines=20 -- "$service" 2>&1
  done
}

restart_services() {
  [ "$PIPIT_RESTART" = systemd ] || return 0
  [ -n "$PIPIT_SERVICES" ] || return 0
  begin 'systemctl restart'
  limited systemctl daemon-reload
  for service in $PIPIT_SERVICES; do
    if ! limited systemctl restart -- "$service"; then
      show_services
      conclude_if_late
      conclude failed HOST_SERVICE_NOT_RESTARTED "$PIPIT_PACKAGE $PIPIT_VERSION is installed, but $service did not start"
    fi
  done
  # A service of a simple type counts as started before it has done anything. Where there is a health check, that tells.
  [ "$PIPIT_CHECK" = none ] || return 0
  sleep 1
  for service in $PIPIT_SERVICES; do
    if ! systemctl is-active --quiet -- "$service"; then
      show_services
      conclude failed HOST_SERVICE_NOT_RESTARTED "$PIPIT_PACKAGE $PIPIT_VERSION is installed, but $service ended at once ($(systemctl is-active -- "$service"))"
    fi
  done
}

# The lock is let go first: another install need not wait for a service that does not become healthy.
check_health() {
  [ "$PIPIT_CHECK" != none ] || return 0
  exec 9>&-
  until_second=$(($(date +%s) + $PIPIT_CHECK_WITHIN_SECONDS))
  until why=$(check_once); do
    if [ "$(date +%s)" -ge "$until_second" ]; then
      show_services
      for service in $PIPIT_SERVICES; do
        systemctl is-active --quiet -- "$service" 2>/dev/null || why="$why; $service is $(systemctl is-active -- "$service" 2>&1)"
      done
      health=$(printf ',"healthy":false,"health":"%s"' "$(json_text "$why")")
      return 0
    fi
    sleep 0.5
  done
  health=',"healthy":true'
}

end_well() {
  check_health
  conclude "$1" '' ''
}

write_receipt() {
  write_whole "$state/receipt.json" '{"key":"%s","version":"%s","digest":"%s","sequence":%s,"installedAt":"%s"}\n' \
    "$PIPIT_KEY" "$PIPIT_VERSION" "$PIPIT_DIGEST" "$PIPIT_SEQUENCE" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" ||
    conclude failed HOST_DISK_FULL "$PIPIT_PACKAGE $PIPIT_VERSION is installed, but $state/receipt.json cannot be written on this host"
  rm -f -- "$state/touched"
}

take_lock
for left in "$state"/work-* "$state"/*.new.* "$state"/outcomes/*.new.*; do
  [ -e "$left" ] && rm -rf -- "$left"
done
mkdir -p "$work/file" "$work/sources.d" || conclude failed HOST_DISK_FULL "The folder $work cannot be made"
read_kept
"$PIPIT_FORMAT"_look
finish_if_done
refuse_older "$receipt_sequence" "$receipt_version"
refuse_older "$intent_sequence" "$intent_version"
read_ours
check_clock
check_space
"$PIPIT_FORMAT"_preflight
stamp_intent
"$PIPIT_FORMAT"_write_source
if [ "$ours" = no ] && [ "$standing" = "$PIPIT_VERSION" ] && [ "$receipt_digest" = "$PIPIT_DIGEST" ] && [ "$receipt_version" = "$PIPIT_VERSION" ]; then
  # The same bytes stand here already, by an earlier rollout's receipt: only the sequence is new.
  restart_services
  write_receipt
  end_well unchanged
fi
"$PIPIT_FORMAT"_update_source
"$PIPIT_FORMAT"_download
check_digest
"$PIPIT_FORMAT"_install_file
restart_services
write_receipt
end_well installed
`;
