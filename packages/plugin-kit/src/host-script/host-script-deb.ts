/** How the host script (`HOST_SCRIPT`) installs a deb: apt-get and dpkg of a host, which is this machine or a folder of it. */
export const DEB_FUNCTIONS = String.raw`
list=$root/etc/apt/sources.list.d/pipit-$PIPIT_APP.list
pin=/etc/apt/preferences.d/pipit-$(printf '%s' "$PIPIT_PACKAGE" | tr '+' '_').pref

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

deb_installed_version() {
  query '$''{db:Status-Status} $''{Version}' | sed -n 's/^\(installed\|triggers-[a-z]*\) //p'
}

# In a user namespace without uid 0 a change of owner to root is not refused but invalid, which dpkg's force-not-root does not forgive:
# there the package manager gets a namespace of its own, in which this user is root.
deb_choose_user() {
  as_root=
  [ -n "$root" ] || return 0
  : >"$work/probe"
  case $(chown 0:0 "$work/probe" 2>&1) in *'Invalid argument'*) as_root='unshare --map-root-user --' ;; esac
}

deb_preflight() {
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
}

deb_write_source() {
  mkdir -p "$root/etc/apt/sources.list.d" "$root/etc/apt/keyrings"
  # A file for each key: apt reads only the first block of an armoured file.
  printf '%s\n' "$PIPIT_KEYS" | awk '/^-----BEGIN PGP/ { n++ } n { print > (ENVIRON["work"] "/keys/" n ".asc") }'
  for key in "$work"/keys/*.asc; do
    number=$(basename "$key" .asc)
    write_whole "$root/etc/apt/keyrings/pipit-$PIPIT_APP-$number.asc" <"$key"
  done
  printf '%s\n' "$PIPIT_SOURCE" | write_whole "$list"
  if [ -n "$PIPIT_AUTH" ]; then
    mkdir -p "$root/etc/apt/auth.conf.d"
    (umask 077 && printf '%s\n' "$PIPIT_AUTH" | write_whole "$root/etc/apt/auth.conf.d/pipit-$PIPIT_APP.conf")
  fi
}

deb_update_source() {
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

deb_download() {
  # Only our source is read, so that the version cannot come from elsewhere; the file goes to a folder of ours, whatever the source's scheme.
  (cd "$work/file" && apt download -o APT::Sandbox::User=root -o Dir::Etc::sourcelist="$list" -o Dir::Etc::sourceparts=/dev/null \
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

# Whatever the sources offer: nothing that apt does by itself changes this version. Only on a real host.
deb_pin() {
  [ -z "$root" ] || return 0
  mkdir -p /etc/apt/preferences.d
  rm -f -- "$work/pin"
  [ -f "$pin" ] && cp -- "$pin" "$work/pin"
  printf 'Explanation: written by pipit, which changes it at each rollout\nPackage: %s\nPin: version %s\nPin-Priority: 1001\n' \
    "$PIPIT_PACKAGE" "$PIPIT_VERSION" | write_whole "$pin"
}

deb_unpin() {
  [ -z "$root" ] || return 0
  if [ -f "$work/pin" ]; then write_whole "$pin" <"$work/pin"; else rm -f -- "$pin"; fi
}

deb_install_file() {
  deb_pin
  # Our own source is left out here: with it apt may take the repository's copy of this version instead of the file that was checked.
  mkdir -p "$work/sources.d"
  for other in "$root"/etc/apt/sources.list.d/*; do
    [ -e "$other" ] && [ "$other" != "$list" ] && ln -s "$other" "$work/sources.d/"
  done
  apt install --yes --allow-downgrades --reinstall --no-install-recommends --no-remove \
    -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-confdef -o Dir::Etc::sourceparts="$work/sources.d" "$file" >"$work/install" 2>&1
  status=$?
  cat "$work/install"
  if [ "$status" -ne 0 ] || [ "$(deb_installed_version)" != "$PIPIT_VERSION" ]; then
    deb_unpin
    grep -q 'Could not get lock' "$work/install" && conclude failed HOST_BUSY "Another package manager has been at work on this host for over 30 s"
    grep -q 'No space left on device' "$work/install" && conclude failed HOST_DISK_FULL "The disk of this host became full while $PIPIT_PACKAGE $PIPIT_VERSION was installed"
    reason=$(grep -E '^(dpkg: error|E:| installed .* script)|returned error exit status' "$work/install" | grep -v 'Sub-process' | tail -n 2 | tr '\n' ' ')
    conclude failed HOST_INSTALL_FAILED "apt-get could not install $PIPIT_PACKAGE $PIPIT_VERSION (exit $status): $reason"
  fi
}
`;
