import { CHECK_FUNCTIONS } from './host-check-text.js';
import { DEB_FUNCTIONS } from './host-script-deb.js';
import { RPM_FUNCTIONS } from './host-script-rpm.js';

/**
 * Installs one package on one host: POSIX sh, the same text for a host that is a folder of this machine and for a real one.
 *
 * All values come as environment (see `hostScriptEnvironment`), none is ever part of the text. It is long because it has to be one file
 * that can be copied to a host; its functions stand in the order in which the steps happen.
 *
 * Kept for each package in `$PIPIT_ROOT/var/lib/pipit/<package>`: `lock`, `intent.json`, `receipt.json` and, a try, `outcomes/<id>.json` and
 * `outcomes/<id>.log`. An intent without a receipt of the same key is an install of ours that was interrupted or failed: only then is
 * `dpkg --configure -a` called.
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
health=
export work
started=$(date -u +%Y-%m-%dT%H:%M:%SZ)

mkdir -p "$state/outcomes" || exit 70
exec >>"$log" 2>&1 </dev/null

# --- what is written, whole or not at all ---------------------------------------------------------------------------------------------

# A file is replaced in one step: what a reader or a crash sees is the old one or the new one.
write_whole() {
  cat >"$1.new.$$" && sync -- "$1.new.$$" && mv -f -- "$1.new.$$" "$1"
}

json_text() {
  printf '%s' "$1" | tr '\n\t' '  ' | tr -d '\000-\037' | sed 's/\\/\\\\/g; s/"/\\"/g'
}

# What stands on the host when it did not end well, with the receipt where that speaks of it.
present() {
  version=$(installed_version)
  [ -n "$version" ] || return 0
  if [ "$(field "$state/receipt.json" version)" = "$version" ]; then
    printf ',"present":{"version":"%s","digest":"%s","sequence":%s}' "$version" "$(field "$state/receipt.json" digest)" "$(field "$state/receipt.json" sequence)"
  else
    printf ',"present":{"version":"%s"}' "$version"
  fi
}

# conclude STATE CODE MESSAGE
conclude() {
  case $1 in installed | unchanged) more=$health ;; *) more=$(present) ;; esac
  printf '{"key":"%s","state":"%s","code":"%s","message":"%s","version":"%s","digest":"%s","sequence":%s,"startedAt":"%s","endedAt":"%s"%s}\n' \
    "$PIPIT_KEY" "$1" "$2" "$(json_text "$3")" "$PIPIT_VERSION" "$PIPIT_DIGEST" "$PIPIT_SEQUENCE" "$started" \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$more" | write_whole "$outcome"
  echo "pipit: $1 $2 $3"
  [ "$locked" = yes ] && rm -rf -- "$work"
  # Only the newest hundred tries are kept (two files each, or three); their names are hexadecimal.
  (cd "$state/outcomes" && ls -t | tail -n +301 | while IFS= read -r old; do rm -f -- "$old"; done)
  case $1 in installed | unchanged) exit 0 ;; *) exit 1 ;; esac
}

field() { # field FILE NAME: of a JSON file that this script wrote
  [ -f "$1" ] && sed -n 's/.*"'"$2"'":"\{0,1\}\([^",}]*\).*/\1/p' "$1"
}

digest_of() { echo "sha256:$(sha256sum <"$1" | cut -d' ' -f1)"; }

# --- the package manager: each step by its name in the functions below -----------------------------------------------------------------

installed_version() { "$PIPIT_FORMAT"_installed_version; }
${DEB_FUNCTIONS}
${RPM_FUNCTIONS}
${CHECK_FUNCTIONS}
# --- the steps -------------------------------------------------------------------------------------------------------------------------

take_lock() {
  exec 9>"$state/../lock"
  flock -w "$PIPIT_LOCK_WAIT_SECONDS" 9 || conclude failed HOST_BUSY "Another install has been at work on this host for over $PIPIT_LOCK_WAIT_SECONDS s"
  locked=yes
}

finish_if_done() {
  [ "$(field "$state/receipt.json" key)" = "$PIPIT_KEY" ] && [ "$(installed_version)" = "$PIPIT_VERSION" ] &&
    [ "$(field "$state/receipt.json" digest)" = "$PIPIT_DIGEST" ] && end_well unchanged
}

refuse_older() {
  for kept in receipt intent; do
    seen=$(field "$state/$kept.json" sequence)
    case $seen in '' | *[!0-9]*) continue ;; esac
    if [ "$seen" -gt "$PIPIT_SEQUENCE" ]; then
      conclude refused HOST_SEQUENCE_OLDER "This host has seen sequence $seen ($(field "$state/$kept.json" version)); sequence $PIPIT_SEQUENCE ($PIPIT_VERSION) is older"
    fi
  done
}

read_ours() { # an install of ours that did not end: an intent that no receipt answers
  ours=no
  intent_key=$(field "$state/intent.json" key)
  [ -n "$intent_key" ] && [ "$intent_key" != "$(field "$state/receipt.json" key)" ] && ours=yes
}

stamp_intent() {
  printf '{"key":"%s","version":"%s","digest":"%s","sequence":%s,"at":"%s"}\n' \
    "$PIPIT_KEY" "$PIPIT_VERSION" "$PIPIT_DIGEST" "$PIPIT_SEQUENCE" "$started" | write_whole "$state/intent.json"
}

check_clock() {
  [ -n "$PIPIT_NOW" ] || return 0
  skew=$(($(date +%s) - PIPIT_NOW))
  [ "$skew" -lt 0 ] && skew=$((-skew))
  if [ "$skew" -gt 300 ]; then
    conclude failed HOST_CLOCK_WRONG "The clock of this host is $skew s away from pipit's: $(date -u +%Y-%m-%dT%H:%M:%SZ)"
  fi
}

check_space() {
  [ -n "$PIPIT_SIZE" ] || return 0
  needed=$((PIPIT_SIZE * 2 / 1024 + 1))
  free=$(df -Pk "$state" | awk 'NR == 2 { print $4 }')
  if [ "$free" -lt "$needed" ]; then
    conclude failed HOST_DISK_FULL "$free KiB are free on this host; $PIPIT_PACKAGE needs $needed KiB (twice its size)"
  fi
}

check_digest() {
  found=$(digest_of "$file")
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
  systemctl daemon-reload 9>&-
  for service in $PIPIT_SERVICES; do
    if ! systemctl restart -- "$service" 9>&-; then
      show_services
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
  printf '{"key":"%s","version":"%s","digest":"%s","sequence":%s,"installedAt":"%s"}\n' \
    "$PIPIT_KEY" "$PIPIT_VERSION" "$PIPIT_DIGEST" "$PIPIT_SEQUENCE" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" | write_whole "$state/receipt.json"
}

take_lock
rm -rf -- "$state"/work-* && mkdir -p "$work/file" "$work/keys" || conclude failed HOST_DISK_FULL "The folder $work cannot be written"
rm -f -- "$state"/*.new.* "$state"/outcomes/*.new.*
printf 'Dir "%s/";\n' "$root" >"$work/apt.conf"
"$PIPIT_FORMAT"_choose_user
finish_if_done
refuse_older
read_ours
check_clock
check_space
"$PIPIT_FORMAT"_preflight
stamp_intent
"$PIPIT_FORMAT"_write_source
if [ "$ours" = no ] && [ "$(installed_version)" = "$PIPIT_VERSION" ] && [ "$(field "$state/receipt.json" digest)" = "$PIPIT_DIGEST" ] &&
  [ "$(field "$state/receipt.json" version)" = "$PIPIT_VERSION" ]; then
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
