import { CHECK_FUNCTIONS } from './host-check-text.js';
import { OWNERSHIP_FUNCTIONS } from './host-ownership-text.js';
import { TRIES_FUNCTIONS } from './host-tries-text.js';

/** For the shell's own `${...}` in a template. */
const $ = '$';

/**
 * Looks at a host in one round trip: POSIX sh, by root, changes nothing. Told by environment: `PIPIT_PACKAGES`; then
 * either `PIPIT_ID` and `PIPIT_WAIT_SECONDS`, for nothing but that try (its end is waited for so long), or no `PIPIT_ID`, and `PIPIT_FORMAT` and what
 * `healthCheckEnvironment` gives. See `parseHostLook`.
 */
export const HOST_LOOK = String.raw`
set -u
export LC_ALL=C.UTF-8
root=/var/lib/pipit
tell() { printf '%s\n' "$*"; }
${CHECK_FUNCTIONS}
${TRIES_FUNCTIONS}
${OWNERSHIP_FUNCTIONS}
# Sets line to all that a file of one line says.
read_line() { IFS= read -r line <"$1"; }

look_at_try() {
  base=
  for package in $PIPIT_PACKAGES; do [ -e "$root/$package/outcomes/$PIPIT_ID.run" ] && base=$root/$package/outcomes/$PIPIT_ID; done
  if [ -z "$base" ]; then tell 'try none 0'; return; fi
  count_tries "$base.run"
  # Whoever is at work holds this lock, until it ended.
  if [ ! -f "$base.json" ] && ! flock --shared --wait "$PIPIT_WAIT_SECONDS" 8 8<"$base.run"; then tell "try running $tries"; return; fi
  if [ ! -f "$base.json" ]; then tell "try stopped $tries"; return; fi
  tell "try ended $tries"
  read_line "$base.json"
  tell "outcome $line"
}

look_at_deb() {
  for package in $PIPIT_PACKAGES; do
    dpkg-query -W -f='$''{Package} $''{db:Status-Want} $''{db:Status-Status} $''{Version} $''{X-Pipit-Commit}\n' "$package" 2>/dev/null |
      while read -r name want status version mark; do
        case $status in
          not-installed | config-files) ;;
          *) if is_ours "$root/$name" "$version" "$mark"; then tell "package $name $want $status $version"; else tell "foreign $name $version"; fi ;;
        esac
      done
  done
  # What is pipit's stops no install of pipit's: see is_of_pipit in the host script.
  dpkg-query -W -f='$''{Package}|$''{db:Status-Status}|$''{X-Pipit-Commit}\n' 2>/dev/null |
    awk -F'|' '$2 ~ /^(half-installed|unpacked|half-configured)$/ { print $1, $2, $3 }' |
    while read -r name status mark; do
      [ -z "$mark" ] && [ ! -e "$root/$name/intent.json" ] && [ ! -e "$root/$name/receipt.json" ] || continue
      cat "$root"/*/touched 2>/dev/null | grep -qxF -- "$name" || tell "broken $name ($status)"
    done
  # fcntl locks, which flock does not see.
  for lock in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock; do
    inode=$(stat -c %i "$lock" 2>/dev/null) && grep -q ":$inode " /proc/locks 2>/dev/null && tell 'busy dpkg'
  done
}

look_at_rpm() {
  for package in $PIPIT_PACKAGES; do
    rpm -q --qf 'package %{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\n' "$package" 2>/dev/null | grep '^package [^ ]* [0-9]*:' |
      while read -r _ name version; do
        version=${$}{version#0:}
        if is_ours "$root/$name" "$version" "$(rpm_mark "$name")"; then tell "package $name install installed $version"; else tell "foreign $name $version"; fi
      done
    for locks in /etc/dnf/plugins/versionlock.list /etc/yum/pluginconf.d/versionlock.list; do
      [ -f "$locks" ] && grep -Eq "^([0-9]+:)?$package-" "$locks" && tell "held $package"
    done
  done
}

newest=
look_at_host() {
  case $PIPIT_FORMAT in
    deb) look_at_deb ;;
    rpm) look_at_rpm ;;
    *)
      if command -v dpkg-query >/dev/null 2>&1; then look_at_deb; fi
      if command -v dnf >/dev/null 2>&1 || command -v yum >/dev/null 2>&1; then look_at_rpm; fi
      ;;
  esac
  for package in $PIPIT_PACKAGES; do
    if [ -f "$root/$package/receipt.json" ]; then
      read_line "$root/$package/receipt.json"
      tell "receipt $package $line"
    fi
    found=$(ls -t "$root/$package/outcomes" 2>/dev/null | grep '\.log$' | head -n 1)
    if [ -n "$found" ]; then newest=$root/$package/outcomes/$found; fi
  done
  if [ -e "$root/lock" ] && ! flock --nonblock --shared 8 8<"$root/lock"; then tell 'busy pipit'; fi
  [ "$PIPIT_CHECK" = none ] && return
  if why=$(check_once); then tell 'healthy yes'; else tell "healthy no $(printf '%s' "$why" | tr '\n' ' ')"; fi
}

tell 'look 1'
if [ -n "$PIPIT_ID" ]; then look_at_try; newest=$base.log; else look_at_host; fi
tell 'log'
if [ -f "$newest" ]; then tail -c 16384 "$newest"; fi
exit 0
`;
