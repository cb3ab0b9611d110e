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
    limited $as_root apt-get -q -o Dir="$root" -o Dir::State::status="$root/var/lib/dpkg/status" -o Dir::Bin::methods=/usr/lib/apt/methods \
      -o Dir::Bin::dpkg=/usr/bin/dpkg -o Dir::Bin::apt-key=/usr/bin/apt-key -o DPkg::Options::=--root="$root" \
      -o DPkg::Options::=--force-not-root -o DPkg::Options::=--force-script-chrootless -o APT::Sandbox::User=root \
      -o DPkg::Lock::Timeout=30 -o Dpkg::Use-Pty=0 "$@"
  else
    limited apt-get -q -o DPkg::Lock::Timeout=30 -o Dpkg::Use-Pty=0 "$@"
  fi
}

apt_cache() {
  if [ -n "$root" ]; then
    apt-cache -o Dir="$root" -o Dir::State::status="$root/var/lib/dpkg/status" "$@"
  else
    apt-cache "$@"
  fi
}

# Exactly what it is told: nothing is overwritten or removed that belongs to another package, whatever the host's dpkg.cfg allows.
run_dpkg() {
  set -- --force-confold --force-confdef --force-downgrade --no-force-overwrite --no-force-depends --no-force-remove-essential "$@"
  if [ -n "$root" ]; then
    limited $as_root dpkg --root="$root" --force-not-root --force-script-chrootless "$@"
  else
    limited dpkg "$@"
  fi
}

# dpkg_when_free ARGUMENT...: dpkg does not wait for its lock by itself. Its words are in $work/dpkg.
dpkg_when_free() {
  waited=0
  until run_dpkg "$@" >"$work/dpkg" 2>&1; do
    dpkg_status=$status
    cat "$work/dpkg"
    grep -q 'locked by another process' "$work/dpkg" || return "$dpkg_status"
    [ "$waited" -ge 60 ] && conclude failed HOST_BUSY "Another package manager$(holder_in "$work/dpkg") has been at work on this host for over 60 s"
    waited=$((waited + 1))
    sleep 1
  done
  cat "$work/dpkg"
}

# holder_in FILE: who holds the lock, in the words of apt or dpkg.
holder_in() {
  held=$(sed -n 's/.*held by process \([0-9]*\) (\(.*\)).*/ (\2, process \1)/p; s/.*locked by another process with pid \([0-9]*\).*/ (process \1)/p' "$1" | tail -n 1)
  printf '%s' "$held"
}

deb_read_standing() {
  standing=
  standing_mark=
  while read -r is version mark; do
    case $is in installed | triggers-*) standing=$version standing_mark=$mark ;; esac
  done <<END
$(dpkg-query --admindir="$root/var/lib/dpkg" -W -f='$''{db:Status-Status} $''{Version} $''{X-Pipit-Commit}\n' "$PIPIT_PACKAGE" 2>/dev/null)
END
}

# By one look at all packages, sets standing, want (hold, where somebody put it on hold), theirs (what has the package's name and is not pipit's,
# whole or not), unsettled (packages of pipit's that are not wholly installed) and strangers (packages that are left half-way, and are not pipit's).
deb_look() {
  deb_look_again
  deb_choose_user
  deb_write_config
}

deb_look_again() {
  standing=
  want=
  theirs=
  unsettled=
  strangers=
  looked=$(dpkg-query --admindir="$root/var/lib/dpkg" -W \
    -f='$''{Package}|$''{db:Status-Want}|$''{db:Status-Eflag}|$''{db:Status-Status}|$''{Version}|$''{X-Pipit-Commit}\n' 2>/dev/null |
    awk -F'|' -v package="$PIPIT_PACKAGE" '
      { mark = $6 == "" ? "none" : "pipit" }
      $1 == package { print "this", $2, $4, mark, $5 }
      $4 ~ /^(half-installed|unpacked|half-configured)$/ || $3 == "reinstreq" { print "half", $1, $4, mark }
      $4 ~ /^triggers-/ && $1 != package { print "waits", $1, $4, mark }')
  while read -r what one two three version; do
    case $what in
      this)
        want=$one
        case $two in installed | triggers-*) standing=$version ;; esac
        case $two in not-installed | config-files) ;; *) is_ours "$state" "$version" "${$}{three#none}" || theirs=$version ;; esac
        ;;
      half) if is_of_pipit "$one" "$three"; then unsettled="$unsettled$one "; else strangers="$strangers$one ($two) "; fi ;;
      waits) if is_of_pipit "$one" "$three"; then unsettled="$unsettled$one "; fi ;;
    esac
  done <<END
$looked
END
}

# is_of_pipit PACKAGE MARK: built by pipit (its control file has our field), installed by pipit, or brought in by an install of pipit's that
# has not ended.
is_of_pipit() {
  [ "$2" = none ] || return 0
  [ ! -e "$root/var/lib/pipit/$1/intent.json" ] && [ ! -e "$root/var/lib/pipit/$1/receipt.json" ] || return 0
  for touched in "$root"/var/lib/pipit/*/touched; do
    [ -f "$touched" ] && grep -qxF -- "$1" "$touched" && return 0
  done
  return 1
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

  deb_refuse_theirs

  # dpkg's journal: files whose names are numbers.
  journal=no
  for entry in "$root"/var/lib/dpkg/updates/[0-9]*; do
    case ${$}{entry##*/} in *[!0-9]*) ;; *) journal=yes ;; esac
  done
  if [ "$journal" = yes ] || [ -n "$unsettled$strangers" ]; then
    # Waits for who is at work, an orphan of an interrupted install too, and merges the journal. It configures nothing: that would run the
    # post-install script of every half-configured package, whoever's it is, also one that hangs.
    dpkg_when_free --set-selections
    deb_look_again
  fi
  if [ -n "$strangers" ]; then
    conclude failed HOST_PACKAGE_MANAGER_INTERRUPTED "dpkg has left packages half-way on this host that are not pipit's: $strangers"
  fi
  for name in $unsettled; do
    [ "$name" = "$PIPIT_PACKAGE" ] || echo "pipit: $(named "$name") is not wholly installed on this host; it is left as it is"
  done
}

# The package's name must not be that of a package that is not pipit's, which the install would replace.
deb_refuse_theirs() {
  # What the host's sources call essential is never replaced by an app, also where it is not installed. An app's own package was looked at before.
  if [ -n "$theirs" ] || [ -z "$standing" ]; then
    if deb_is_needed "$PIPIT_PACKAGE" || deb_is_listed_essential; then
      conclude refused HOST_PACKAGE_ESSENTIAL "$PIPIT_PACKAGE is a package that this host cannot do without. Nothing was installed"
    fi
  fi
  [ -n "$theirs" ] || return 0
  whose=$(dpkg-query --admindir="$root/var/lib/dpkg" -W -f='$''{Maintainer}\n' "$PIPIT_PACKAGE" 2>/dev/null | head -n 1)
  if [ "$PIPIT_TAKE_OVER" = no ]; then
    conclude refused HOST_PACKAGE_FOREIGN "$PIPIT_PACKAGE $theirs stands on this host and is not pipit's${$}{whose:+ (it is maintained by $whose)}. Nothing was installed"
  fi
  echo "pipit: $PIPIT_PACKAGE $theirs, which is not pipit's, is taken over: the config allows it"
}

# deb_is_needed PACKAGE: Essential, protected, of Priority required or important, or needed by one of those, all by what is installed here.
deb_is_needed() {
  dpkg-query --admindir="$root/var/lib/dpkg" -W \
    -f='$''{Package}\t$''{db:Status-Status}\t$''{Essential}$''{Protected}$''{Important}\t$''{Priority}\t$''{Pre-Depends},$''{Depends}\t$''{X-Pipit-Commit}\n' 2>/dev/null |
    awk -F'\t' -v package="$1" '
      $2 == "not-installed" || $2 == "config-files" || $6 != "" { next }
      {
        needs[$1] = needs[$1] "," $5
        if ($3 ~ /yes/ || $4 == "required" || $4 == "important") { queue[++last] = $1; core[$1] = 1 }
      }
      END {
        for (at = 1; at <= last; at++) {
          count = split(needs[queue[at]], words, /[,|]/)
          for (i = 1; i <= count; i++) {
            name = words[i]; sub(/^ */, "", name); sub(/[ (:].*/, "", name)
            if (name != "" && !(name in core)) { core[name] = 1; queue[++last] = name }
          }
        }
        exit !(package in core)
      }'
}

# All sources but our own, which offers this package.
deb_link_other_sources() {
  set --
  for other in "$root"/etc/apt/sources.list.d/*; do
    [ -e "$other" ] && [ "$other" != "$list" ] && set -- "$@" "$other"
  done
  [ "$#" -eq 0 ] || ln -sf -- "$@" "$work/sources.d/"
}

deb_is_listed_essential() {
  deb_link_other_sources
  apt_cache show -o Dir::Etc::sourceparts="$work/sources.d" "$PIPIT_PACKAGE" 2>/dev/null | awk '
    BEGIN { RS = ""; code = 1 }
    /(^|\n)X-Pipit-Commit:/ { next }
    /(^|\n)(Essential|Protected|Important): *yes/ || /(^|\n)Priority: *(required|important)/ { code = 0 }
    END { exit code }'
}

# named PACKAGE: with the app whose install brought it, as far as that is known.
named() {
  of=
  for intent in "$root/var/lib/pipit/$1/intent.json" "$root"/var/lib/pipit/*/touched; do
    [ -f "$intent" ] || continue
    case $intent in */touched) grep -qxF -- "$1" "$intent" || continue ;; esac
    read_text "${$}{intent%/*}/intent.json"
    field "$text" app
    of=$value
    break
  done
  if [ -n "$of" ]; then printf '%s (app %s)' "$1" "$of"; else printf '%s' "$1"; fi
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
    conclude_if_late
    said >"$work/said"
    # apt-get waits for dpkg's lock, but not for the lock of its lists.
    grep -q 'Could not get lock' "$work/said" ||
      conclude failed HOST_UPDATE_FAILED "apt-get update of $list failed: $(grep '^[EW]:' "$work/said" | tail -n 1)"
    [ "$waited" -ge 60 ] && conclude failed HOST_BUSY "Another package manager$(holder_in "$work/said") has been at work on this host for over 60 s"
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
  conclude_if_late
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
`;
