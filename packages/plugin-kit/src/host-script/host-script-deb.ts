/** For the shell's own `${...}` in a template. */
const $ = '$';

/** How the host script (`HOST_SCRIPT`) installs a deb: apt-get and dpkg of a host, which is this machine or a folder of it. */
export const DEB_FUNCTIONS = String.raw`
list=$root/etc/apt/sources.list.d/pipit-$PIPIT_APP.list
# apt reads no file whose name has a "+".
case $PIPIT_PACKAGE in *+*) pin=$(printf '%s' "$PIPIT_PACKAGE" | tr '+' '_') ;; *) pin=$PIPIT_PACKAGE ;; esac
pin=/etc/apt/preferences.d/pipit-$pin.pref

export APT_CONFIG="$work/apt.conf"

apt() {
  if [ -n "$root" ]; then
    $as_root apt-get -q -o Dir="$root" -o Dir::State::status="$root/var/lib/dpkg/status" -o Dir::Bin::methods=/usr/lib/apt/methods \
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

deb_read_standing() {
  standing=
  is=$(dpkg-query --admindir="$root/var/lib/dpkg" -W -f='$''{db:Status-Status} $''{Version}' "$PIPIT_PACKAGE" 2>/dev/null)
  case $is in 'installed '* | triggers-*' '*) standing=${$}{is#* } ;; esac
}

# Sets standing, want (hold, where somebody put it on hold) and broken (the packages that dpkg has left half-way), by one look at all packages.
deb_look() {
  standing=
  want=
  broken=
  looked=$(dpkg-query --admindir="$root/var/lib/dpkg" -W -f='$''{db:Status-Want} $''{db:Status-Status} $''{Package} $''{Version}\n' 2>/dev/null |
    awk -v package="$PIPIT_PACKAGE" '$3 == package { print "this", $1, $2, $4 } $2 ~ /^(half-installed|unpacked|half-configured)$/ { print "broken", $3 }')
  while read -r what one two three; do
    case $what in
      this)
        want=$one
        case $two in installed | triggers-*) standing=$three ;; esac
        ;;
      broken) broken="$broken$one " ;;
    esac
  done <<END
$looked
END
  deb_choose_user
  deb_write_config
}

# For apt and what it starts. Of a host that is a folder, so that not this machine's apt.conf.d is read but the host's.
# Without architectures here, each part of apt asks dpkg for them anew: some fifteen processes an install.
deb_write_config() {
  native=$(dpkg --print-architecture)
  foreign=$(dpkg ${$}{root:+--root="$root"} --print-foreign-architectures)
  {
    [ -z "$root" ] || printf 'Dir "%s/";\n' "$root"
    for architecture in $native $foreign; do printf 'APT::Architectures:: "%s";\n' "$architecture"; done
  } >"$APT_CONFIG"
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
  if [ "$want" = hold ]; then
    conclude refused HOST_PACKAGE_HELD "$PIPIT_PACKAGE is on hold on this host"
  fi

  # dpkg's journal: files whose names are numbers.
  journal=no
  for entry in "$root"/var/lib/dpkg/updates/[0-9]*; do
    case ${$}{entry##*/} in *[!0-9]*) ;; *) journal=yes ;; esac
  done
  if [ "$journal" = yes ] || [ -n "$broken" ]; then
    if [ "$ours" = no ]; then
      conclude failed HOST_PACKAGE_MANAGER_INTERRUPTED "dpkg was interrupted on this host, and not in an install of pipit's. Unfinished: $broken"
    fi
    # Configures what can be; what can't is replaced by the install below, or makes that fail with its own words.
    echo "pipit: finishing an interrupted install of $intent_version"
    waited=0
    until run_dpkg --configure -a >"$work/configure" 2>&1; do
      cat "$work/configure"
      # An orphan of the interrupted install may still be at work.
      grep -q 'locked by another process' "$work/configure" || break
      [ "$waited" -ge 60 ] && conclude failed HOST_BUSY "Another package manager has been at work on this host for over 60 s"
      waited=$((waited + 1))
      sleep 1
    done
    deb_read_standing
  fi
}

deb_write_source() {
  [ -d "$root/etc/apt/sources.list.d" ] && [ -d "$root/etc/apt/keyrings" ] || mkdir -p "$root/etc/apt/sources.list.d" "$root/etc/apt/keyrings"
  write_keys "$root/etc/apt/keyrings/pipit-$PIPIT_APP"
  write_changed "$list" "$PIPIT_SOURCE"
  if [ -n "$PIPIT_AUTH" ]; then
    mkdir -p "$root/etc/apt/auth.conf.d"
    (umask 077 && write_changed "$root/etc/apt/auth.conf.d/pipit-$PIPIT_APP.conf" "$PIPIT_AUTH")
  fi
}

deb_update_source() {
  waited=0
  begin 'apt-get update'
  until apt update -o Dir::Etc::sourcelist="$list" -o Dir::Etc::sourceparts=/dev/null -o APT::Get::List-Cleanup=false --error-on=any; do
    said >"$work/said"
    # apt-get waits for dpkg's lock, but not for the lock of its lists.
    grep -q 'Could not get lock' "$work/said" ||
      conclude failed HOST_UPDATE_FAILED "apt-get update of $list failed: $(grep '^[EW]:' "$work/said" | tail -n 1)"
    [ "$waited" -ge 60 ] && conclude failed HOST_BUSY "Another package manager has been at work on this host for over 60 s"
    waited=$((waited + 1))
    sleep 1
    begin 'apt-get update'
  done
}

# What the repository gives now, when apt has refused it: for the message only, nothing of it is installed.
found_digest() {
  received=$(sed -n '/Hashes of received file/,$ s/.*SHA256:\([0-9a-f]\{64\}\).*/\1/p' "$work/said" | head -n 1)
  if [ -n "$received" ]; then
    echo "sha256:$received"
    return
  fi
  address=$(apt download --print-uris "$PIPIT_PACKAGE=$PIPIT_VERSION" 2>/dev/null | sed -n "s/^'\([^']*\)'.*/\1/p" | tail -n 1)
  case $address in
    file:*)
      path=$(printf '%s' "$address" | sed 's,^file:/*,/,; s/%20/ /g; s/%2b/+/gI; s/%7e/~/gI')
      [ -f "$path" ] && find_digest "$path" && echo "$found" && return
      ;;
    http*)
      /usr/lib/apt/apt-helper download-file "$address" "$work/found" >/dev/null 2>&1 9>&- && find_digest "$work/found" && echo "$found" && return
      ;;
  esac
  echo 'unreadable bytes'
}

deb_download() {
  # Only our source is read, so that the version cannot come from elsewhere; the file goes to a folder of ours, whatever the source's scheme.
  begin 'apt-get download'
  (cd "$work/file" && apt download -o APT::Sandbox::User=root -o Dir::Etc::sourcelist="$list" -o Dir::Etc::sourceparts=/dev/null \
    "$PIPIT_PACKAGE=$PIPIT_VERSION")
  status=$?
  for file in "$work"/file/*.deb; do [ ! -f "$file" ] || break; done
  if [ "$status" -ne 0 ] || [ ! -f "$file" ]; then
    said >"$work/said"
    if grep -Eq 'Hash Sum mismatch|unexpected size' "$work/said"; then
      conclude failed HOST_DIGEST_MISMATCH "The rollout expects $PIPIT_DIGEST of $PIPIT_PACKAGE $PIPIT_VERSION, the repository gives $(found_digest) (and its own index says otherwise). Nothing was installed"
    fi
    if grep -Eq "Version '.*' for '.*' was not found|Unable to locate package|Can't find a source|No packages found|Can't select candidate version" "$work/said"; then
      conclude failed HOST_VERSION_NOT_OFFERED "The source of this host's ring has no $PIPIT_PACKAGE $PIPIT_VERSION"
    fi
    conclude failed HOST_DOWNLOAD_FAILED "$PIPIT_PACKAGE $PIPIT_VERSION could not be downloaded: $(grep '^E:' "$work/said" | tail -n 1)"
  fi
}

# Whatever the sources offer: nothing that apt does by itself changes this version. Only on a real host.
deb_pin() {
  [ -z "$root" ] || return 0
  [ -d /etc/apt/preferences.d ] || mkdir -p /etc/apt/preferences.d
  read_text "$pin"
  pinned=$text
  write_changed "$pin" "Explanation: written by pipit, which changes it at each rollout${$}{newline}Package: $PIPIT_PACKAGE${$}{newline}Pin: version $PIPIT_VERSION${$}{newline}Pin-Priority: 1001"
}

deb_unpin() {
  [ -z "$root" ] || return 0
  if [ -n "$pinned" ]; then write_whole "$pin" '%s\n' "$pinned"; else rm -f -- "$pin"; fi
}

deb_install_file() {
  deb_pin
  # Our own source is left out here: with it apt may take the repository's copy of this version instead of the file that was checked.
  set --
  for other in "$root"/etc/apt/sources.list.d/*; do
    [ -e "$other" ] && [ "$other" != "$list" ] && set -- "$@" "$other"
  done
  [ "$#" -eq 0 ] || ln -s -- "$@" "$work/sources.d/"
  begin 'apt-get install'
  apt install --yes --allow-downgrades --reinstall --no-install-recommends --no-remove \
    -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-confdef -o Dir::Etc::sourceparts="$work/sources.d" "$file"
  status=$?
  deb_read_standing
  if [ "$status" -ne 0 ] || [ "$standing" != "$PIPIT_VERSION" ]; then
    said >"$work/said"
    deb_unpin
    grep -q 'Could not get lock' "$work/said" && conclude failed HOST_BUSY "Another package manager has been at work on this host for over 30 s"
    grep -q 'No space left on device' "$work/said" && conclude failed HOST_DISK_FULL "The disk of this host became full while $PIPIT_PACKAGE $PIPIT_VERSION was installed"
    reason=$(grep -E '^(dpkg: error|E:| installed .* script)|returned error exit status' "$work/said" | grep -v 'Sub-process' | tail -n 2 | tr '\n' ' ')
    conclude failed HOST_INSTALL_FAILED "apt-get could not install $PIPIT_PACKAGE $PIPIT_VERSION (exit $status): $reason"
  fi
}
`;
