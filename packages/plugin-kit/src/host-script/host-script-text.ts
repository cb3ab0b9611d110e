/**
 * Installs one deb on one host: POSIX sh, the same text for a host that is a folder of this machine and for a real one.
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
list=$root/etc/apt/sources.list.d/pipit-$PIPIT_APP.list
work=$state/work-$PIPIT_ID
locked=no
export work
started=$(date -u +%Y-%m-%dT%H:%M:%SZ)

mkdir -p "$state/outcomes" || exit 70
exec >>"$log" 2>&1

# --- what is written, whole or not at all ---------------------------------------------------------------------------------------------

# A file is replaced in one step: what a reader or a crash sees is the old one or the new one.
write_whole() {
  cat >"$1.new.$$" && sync -- "$1.new.$$" && mv -f -- "$1.new.$$" "$1"
}

json_text() {
  printf '%s' "$1" | tr '\n\t' '  ' | tr -d '\000-\037' | sed 's/\\/\\\\/g; s/"/\\"/g'
}

# conclude STATE CODE MESSAGE
conclude() {
  printf '{"key":"%s","state":"%s","code":"%s","message":"%s","version":"%s","digest":"%s","sequence":%s,"startedAt":"%s","endedAt":"%s"}\n' \
    "$PIPIT_KEY" "$1" "$2" "$(json_text "$3")" "$PIPIT_VERSION" "$PIPIT_DIGEST" "$PIPIT_SEQUENCE" "$started" \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" | write_whole "$outcome"
  echo "pipit: $1 $2 $3"
  [ "$locked" = yes ] && rm -rf -- "$work"
  # Only the newest hundred tries are kept (two files each); their names are hexadecimal.
  (cd "$state/outcomes" && ls -t | tail -n +201 | while IFS= read -r old; do rm -f -- "$old"; done)
  case $1 in installed | unchanged) exit 0 ;; *) exit 1 ;; esac
}

field() { # field FILE NAME: of a JSON file that this script wrote
  [ -f "$1" ] && sed -n 's/.*"'"$2"'":"\{0,1\}\([^",}]*\).*/\1/p' "$1"
}

# --- the package manager, here or in a folder -----------------------------------------------------------------------------------------

apt() {
  if [ -n "$root" ]; then
    # Dir is said in a file too, so that not this machine's apt.conf.d is read but the host's.
    APT_CONFIG=$work/apt.conf $as_root apt-get -q -o Dir="$root" -o Dir::State::status="$root/var/lib/dpkg/status" -o Dir::Bin::methods=/usr/lib/apt/methods \
      -o Dir::Bin::dpkg=/usr/bin/dpkg -o Dir::Bin::apt-key=/usr/bin/apt-key -o DPkg::Options::=--root="$root" \
      -o DPkg::Options::=--force-not-root -o DPkg::Options::=--force-script-chrootless -o APT::Sandbox::User=root \
      -o DPkg::Lock::Timeout=30 -o Dpkg::Use-Pty=0 "$@" 9>&-
  else
    apt-get -q -o DPkg::Lock::Timeout=30 -o Dpkg::Use-Pty=0 "$@" 9>&-
  fi
}

run_dpkg() {
  if [ -n "$root" ]; then
    $as_root dpkg --root="$root" --force-not-root --force-script-chrootless --force-confold --force-confdef "$@" 9>&-
  else
    dpkg --force-confold --force-confdef "$@" 9>&-
  fi
}

query() { dpkg-query --admindir="$root/var/lib/dpkg" -W -f="$1" "$PIPIT_PACKAGE" 2>/dev/null; }

installed_version() {
  case $(query '$''{db:Status-Status}') in installed | triggers-*) query '$''{Version}' ;; esac
}

digest_of() { echo "sha256:$(sha256sum <"$1" | cut -d' ' -f1)"; }

# --- the steps -------------------------------------------------------------------------------------------------------------------------

# In a user namespace without uid 0 a change of owner to root is not refused but invalid, which dpkg's force-not-root does not forgive:
# there the package manager gets a namespace of its own, in which this user is root.
choose_user() {
  as_root=
  [ -n "$root" ] || return 0
  : >"$work/probe"
  case $(chown 0:0 "$work/probe" 2>&1) in *'Invalid argument'*) as_root='unshare --map-root-user --' ;; esac
}

take_lock() {
  exec 9>"$state/../lock"
  flock -w "$PIPIT_LOCK_WAIT_SECONDS" 9 || conclude failed HOST_BUSY "Another install has been at work on this host for over $PIPIT_LOCK_WAIT_SECONDS s"
}

finish_if_done() {
  [ "$(field "$state/receipt.json" key)" = "$PIPIT_KEY" ] && [ "$(installed_version)" = "$PIPIT_VERSION" ] &&
    [ "$(field "$state/receipt.json" digest)" = "$PIPIT_DIGEST" ] && conclude unchanged '' ''
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

preflight() {
  if [ "$(query '$''{db:Status-Want}')" = hold ]; then
    conclude refused HOST_PACKAGE_HELD "$PIPIT_PACKAGE is on hold on this host"
  fi

  journal=$(ls -A "$root/var/lib/dpkg/updates" 2>/dev/null | grep -c '^[0-9]*$')
  broken=$(dpkg-query --admindir="$root/var/lib/dpkg" -W -f='$''{db:Status-Status} $''{Package}\n' 2>/dev/null |
    grep -E '^(half-installed|unpacked|half-configured) ' | cut -d' ' -f2 | tr '\n' ' ')
  if [ "$journal" -gt 0 ] || [ -n "$broken" ]; then
    if [ "$ours" = no ]; then
      conclude failed HOST_PACKAGE_MANAGER_INTERRUPTED "dpkg was interrupted on this host, and not in an install of pipit's. Unfinished: $broken"
    fi
    # Configures what can be; what can't is replaced by the install below, or makes that fail with its own words.
    echo "pipit: finishing an interrupted install of $(field "$state/intent.json" version)"
    waited=0
    until run_dpkg --configure -a >"$work/configure" 2>&1; do
      cat "$work/configure"
      # An orphan of the interrupted install may still be at work.
      grep -q 'locked by another process' "$work/configure" || break
      [ "$waited" -ge 60 ] && conclude failed HOST_BUSY "Another package manager has been at work on this host for over 60 s"
      waited=$((waited + 1))
      sleep 1
    done
  fi

  if [ -n "$PIPIT_SIZE" ]; then
    needed=$((PIPIT_SIZE * 2 / 1024 + 1))
    free=$(df -Pk "$state" | awk 'NR == 2 { print $4 }')
    if [ "$free" -lt "$needed" ]; then
      conclude failed HOST_DISK_FULL "$free KiB are free on this host; $PIPIT_PACKAGE needs $needed KiB (twice its size)"
    fi
  fi
}

write_source() {
  mkdir -p "$root/etc/apt/sources.list.d" "$root/etc/apt/keyrings"
  # A file for each key: apt reads only the first block of an armoured file.
  printf '%s\n' "$PIPIT_KEYS" | awk '/^-----BEGIN PGP/ { n++ } n { print > (ENVIRON["work"] "/keys/" n ".asc") }'
  for key in "$work"/keys/*.asc; do
    number=$(basename "$key" .asc)
    write_whole "$root/etc/apt/keyrings/pipit-$PIPIT_APP-$number.asc" <"$key"
  done
  printf '%s\n' "$PIPIT_SOURCE" | write_whole "$list"
}

update_source() {
  waited=0
  until apt update -o Dir::Etc::sourcelist="$list" -o Dir::Etc::sourceparts=/dev/null -o APT::Get::List-Cleanup=false \
    --error-on=any >"$work/update" 2>&1; do
    cat "$work/update"
    # apt-get waits for dpkg's lock, but not for the lock of its lists.
    grep -q 'Could not get lock' "$work/update" ||
      conclude failed HOST_UPDATE_FAILED "apt-get update of $list failed: $(grep '^[EW]:' "$work/update" | tail -n 1)"
    [ "$waited" -ge 60 ] && conclude failed HOST_BUSY "Another package manager has been at work on this host for over 60 s"
    waited=$((waited + 1))
    sleep 1
  done
}

# What the repository gives now, when apt has refused it: for the message only, nothing of it is installed.
found_digest() {
  received=$(sed -n '/Hashes of received file/,$ s/.*SHA256:\([0-9a-f]\{64\}\).*/\1/p' "$work/download" | head -n 1)
  if [ -n "$received" ]; then
    echo "sha256:$received"
    return
  fi
  address=$(apt download --print-uris "$PIPIT_PACKAGE=$PIPIT_VERSION" 2>/dev/null | sed -n "s/^'\([^']*\)'.*/\1/p" | tail -n 1)
  case $address in
    file:*)
      path=$(printf '%s' "$address" | sed 's,^file:/*,/,; s/%20/ /g; s/%2b/+/gI; s/%7e/~/gI')
      [ -f "$path" ] && digest_of "$path" && return
      ;;
    http*)
      /usr/lib/apt/apt-helper download-file "$address" "$work/found" >/dev/null 2>&1 9>&- && digest_of "$work/found" && return
      ;;
  esac
  echo 'unreadable bytes'
}

download() {
  # Only our source is read, so that the version cannot come from elsewhere; the file goes to a folder of ours, whatever the source's scheme.
  (cd "$work/file" && apt download -o Dir::Etc::sourcelist="$list" -o Dir::Etc::sourceparts=/dev/null \
    "$PIPIT_PACKAGE=$PIPIT_VERSION") >"$work/download" 2>&1
  status=$?
  cat "$work/download"
  file=$(find "$work/file" -name '*.deb' -type f | head -n 1)
  if [ "$status" -ne 0 ] || [ -z "$file" ]; then
    if grep -Eq 'Hash Sum mismatch|unexpected size' "$work/download"; then
      conclude failed HOST_DIGEST_MISMATCH "The rollout expects $PIPIT_DIGEST of $PIPIT_PACKAGE $PIPIT_VERSION, the repository gives $(found_digest) (and its own index says otherwise). Nothing was installed"
    fi
    if grep -Eq "Version '.*' for '.*' was not found|Unable to locate package|Can't find a source|No packages found|Can't select candidate version" "$work/download"; then
      conclude failed HOST_VERSION_NOT_OFFERED "The source of this host's ring has no $PIPIT_PACKAGE $PIPIT_VERSION"
    fi
    conclude failed HOST_DOWNLOAD_FAILED "$PIPIT_PACKAGE $PIPIT_VERSION could not be downloaded: $(grep '^E:' "$work/download" | tail -n 1)"
  fi
}

check_digest() {
  found=$(digest_of "$file")
  if [ "$found" != "$PIPIT_DIGEST" ]; then
    conclude failed HOST_DIGEST_MISMATCH "The rollout expects $PIPIT_DIGEST of $PIPIT_PACKAGE $PIPIT_VERSION, the repository gives $found. Nothing was installed"
  fi
}

install_file() {
  # Our own source is left out here: with it apt may take the repository's copy of this version instead of the file that was checked.
  mkdir -p "$work/sources.d"
  for other in "$root"/etc/apt/sources.list.d/*; do
    [ -e "$other" ] && [ "$other" != "$list" ] && ln -s "$other" "$work/sources.d/"
  done
  apt install --yes --allow-downgrades --reinstall --no-install-recommends --no-remove \
    -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-confdef -o Dir::Etc::sourceparts="$work/sources.d" "$file" >"$work/install" 2>&1
  status=$?
  cat "$work/install"
  if [ "$status" -ne 0 ] || [ "$(installed_version)" != "$PIPIT_VERSION" ]; then
    grep -q 'Could not get lock' "$work/install" && conclude failed HOST_BUSY "Another package manager has been at work on this host for over 30 s"
    reason=$(grep -E '^(dpkg: error|E:| installed .* script)|returned error exit status' "$work/install" | grep -v 'Sub-process' | tail -n 2 | tr '\n' ' ')
    conclude failed HOST_INSTALL_FAILED "apt-get could not install $PIPIT_PACKAGE $PIPIT_VERSION (exit $status): $reason"
  fi
}

restart_services() {
  [ "$PIPIT_RESTART" = systemd ] || return 0
  [ -n "$PIPIT_SERVICES" ] || return 0
  systemctl daemon-reload 9>&-
  for service in $PIPIT_SERVICES; do
    systemctl restart -- "$service" 9>&- ||
      conclude failed HOST_SERVICE_NOT_RESTARTED "$PIPIT_PACKAGE $PIPIT_VERSION is installed, but $service did not start"
  done
}

write_receipt() {
  printf '{"key":"%s","version":"%s","digest":"%s","sequence":%s,"installedAt":"%s"}\n' \
    "$PIPIT_KEY" "$PIPIT_VERSION" "$PIPIT_DIGEST" "$PIPIT_SEQUENCE" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" | write_whole "$state/receipt.json"
}

take_lock
rm -rf -- "$state"/work-* && mkdir -p "$work/file" "$work/keys" || conclude failed HOST_DISK_FULL "The folder $work cannot be written"
rm -f -- "$state"/*.new.* "$state"/outcomes/*.new.*
printf 'Dir "%s/";\n' "$root" >"$work/apt.conf"
choose_user
finish_if_done
refuse_older
read_ours
preflight
stamp_intent
write_source
if [ "$ours" = no ] && [ "$(installed_version)" = "$PIPIT_VERSION" ] && [ "$(field "$state/receipt.json" digest)" = "$PIPIT_DIGEST" ] &&
  [ "$(field "$state/receipt.json" version)" = "$PIPIT_VERSION" ]; then
  # The same bytes stand here already, by an earlier rollout's receipt: only the sequence is new.
  restart_services
  write_receipt
  conclude unchanged '' ''
fi
update_source
download
check_digest
install_file
restart_services
write_receipt
conclude installed '' ''
`;
