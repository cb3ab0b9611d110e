/** For the shell's own `${...}` in a template. */
const $ = '$';

/** How the host script (`HOST_SCRIPT`) installs the file of a deb that it has downloaded and checked, and nothing else. */
export const DEB_INSTALL_FUNCTIONS = String.raw`
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
  deb_read_file
  deb_pin
  # Our own source is left out here: with it apt may take the repository's copy of this version instead of the file that was checked.
  deb_link_other_sources
  others=
  if [ -n "$relations$unsettled" ]; then deb_plan; fi
  if [ -n "$unsettled" ]; then deb_install_alone; else deb_install_by_apt; fi
  status=$?
  deb_read_standing
  if [ "$status" -ne 0 ] || [ "$standing" != "$PIPIT_VERSION" ]; then
    said >"$work/said"
    deb_unpin
    conclude_if_late
    grep -q 'Could not get lock' "$work/said" && conclude failed HOST_BUSY "Another package manager$(holder_in "$work/said") has been at work on this host for over 30 s"
    grep -q 'No space left on device' "$work/said" && conclude failed HOST_DISK_FULL "The disk of this host became full while $PIPIT_PACKAGE $PIPIT_VERSION was installed"
    conclude failed HOST_INSTALL_FAILED "$PIPIT_PACKAGE $PIPIT_VERSION could not be installed (exit $status): $(deb_reason)"
  fi
}

# Of $work/said. dpkg gives the cause of some errors on the next line, indented.
deb_reason() {
  awk '
    /^dpkg: error/ { print; cause = 1; next }
    cause && /^ / { print }
    { cause = 0 }
    /^E:|returned error exit status|^ .* : Depends: |^ installed .* script/ { print }' "$work/said" |
    grep -v 'Sub-process' | tail -n 4 | tr '\n' ' ' | tr -s ' '
}

# Sets relations: what the file says of other packages. And the file is what its name in the index says.
deb_read_file() {
  fields=$(dpkg-deb --field "$file" Package Version Essential Protected Important Depends Pre-Depends Provides Conflicts Breaks Replaces)
  is_name=$(printf '%s\n' "$fields" | sed -n 's/^Package: *//p')
  is_version=$(printf '%s\n' "$fields" | sed -n 's/^Version: *//p')
  if [ "$is_name" != "$PIPIT_PACKAGE" ] || [ "$is_version" != "$PIPIT_VERSION" ]; then
    conclude failed HOST_PACKAGE_MISNAMED "The file of $PIPIT_PACKAGE $PIPIT_VERSION holds the package $is_name $is_version. Nothing was installed"
  fi
  if printf '%s\n' "$fields" | grep -Eq '^(Essential|Protected|Important): *yes'; then
    conclude refused HOST_PACKAGE_ESSENTIAL "$PIPIT_PACKAGE $PIPIT_VERSION calls itself essential, which an app's package may not. Nothing was installed"
  fi
  relations=$(printf '%s\n' "$fields" | grep -Ev '^(Package|Version): ')
  [ -z "$relations" ] || deb_refuse_displaced
}

# Another package that stands here must not be replaced by way of a field either.
deb_refuse_displaced() {
  displaced=$(printf '%s\n' "$relations" | awk '/^[^ ]/ { field = $1 } field ~ /^(Provides|Conflicts|Breaks|Replaces):$/ { sub(/^[^ ]*:/, ""); print }' |
    tr ',|' '\n\n' | sed 's/^ *//; s/[ (:].*//' | sort -u)
  for name in $displaced; do
    [ "$name" != "$PIPIT_PACKAGE" ] || continue
    case $(dpkg-query --admindir="$root/var/lib/dpkg" -W -f='$''{db:Status-Status} ' "$name" 2>/dev/null) in
      '' | 'not-installed ' | 'config-files ') continue ;;
    esac
    if deb_is_needed "$name"; then
      conclude refused HOST_PACKAGE_ESSENTIAL "$PIPIT_PACKAGE $PIPIT_VERSION provides, replaces or excludes $name, which this host cannot do without. Nothing was installed"
    fi
    if [ "$PIPIT_TAKE_OVER" = no ] || [ -e "$root/var/lib/pipit/$name/receipt.json" ]; then
      conclude refused HOST_PACKAGE_FOREIGN "$PIPIT_PACKAGE $PIPIT_VERSION provides, replaces or excludes $(named "$name"), which stands on this host. Nothing was installed"
    fi
  done
}

install_options='--yes --allow-downgrades --reinstall --no-install-recommends'

# What apt would do to other packages: sets others, as name=version. Only those that are not there may come, or come newer.
deb_plan() {
  set --
  if [ -n "$unsettled" ]; then
    deb_write_view
    set -- -o Dir::State::status="$work/view" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
  fi
  begin 'apt-get install --simulate'
  apt install --simulate $install_options -o Dir::Etc::sourceparts="$work/sources.d" "$@" "$file"
  simulated=$?
  conclude_if_late
  said >"$work/said"
  removed=$(awk '
    $1 == "Remv" { print $2 }
    /^The following packages will be REMOVED|^WARNING: The following essential/ { listed = 1; next }
    listed && /^  / { for (i = 1; i <= NF; i++) { sub(/[*]$/, "", $i); if ($i !~ /[()]/) print $i } next }
    { listed = 0 }' "$work/said" | sort -u | tr '\n' ' ')
  if [ -n "$removed" ]; then
    deb_unpin
    conclude failed HOST_PACKAGE_DISPLACES "$PIPIT_PACKAGE $PIPIT_VERSION cannot be installed unless other packages are removed from this host: ${$}{removed% }"
  fi
  if [ "$simulated" -ne 0 ]; then
    deb_unpin
    conclude failed HOST_INSTALL_FAILED "$PIPIT_PACKAGE $PIPIT_VERSION could not be installed (exit $simulated): $(deb_reason)"
  fi
  planned=$(awk -v package="$PIPIT_PACKAGE" '$1 == "Inst" {
    name = $2; sub(/:.*/, "", name)
    if (name == package) next
    was = $3 ~ /^\[/ ? substr($3, 2, length($3) - 2) : "none"
    match($0, /\(.*/); becomes = substr($0, RSTART + 1); sub(/[ )].*/, "", becomes)
    print $2, was, becomes
  }' "$work/said")
  while read -r name was becomes; do
    [ -n "$name" ] || continue
    if [ "$was" != none ] && dpkg --compare-versions "$becomes" lt "$was"; then
      deb_unpin
      conclude failed HOST_PACKAGE_DISPLACES "$PIPIT_PACKAGE $PIPIT_VERSION cannot be installed unless another package goes back on this host: $name $was to $becomes"
    fi
    if [ -e "$root/var/lib/pipit/${$}{name%%:*}/receipt.json" ] || [ -e "$root/var/lib/pipit/${$}{name%%:*}/intent.json" ]; then
      deb_unpin
      conclude failed HOST_PACKAGE_DISPLACES "$PIPIT_PACKAGE $PIPIT_VERSION cannot be installed unless another app's package changes on this host: $(named "${$}{name%%:*}") to $becomes"
    fi
    others="$others$name=$becomes "
  done <<END
$planned
END
  # What is left half-way of these after a crash is this install's.
  [ -z "$others" ] || write_whole "$state/touched" '%s\n' $(for other in $others; do other=${$}{other%%=*}; echo "${$}{other%%:*}"; done)
}

# Of dpkg's own list, in which packages of pipit's that are not wholly installed are shown as if they were: apt does nothing while there are such.
# One that this install was itself to bring, and that has not even its files, is left out: so it is brought again.
deb_write_view() {
  mine=
  read_text "$state/touched"
  for name in $text; do mine="$mine$name "; done
  awk -v unsettled=" $unsettled" -v mine=" $mine" 'BEGIN { RS = ""; FS = "\n" } {
    name = ""; half = 0; version = 0
    for (i = 1; i <= NF; i++) {
      if ($i ~ /^Package: /) name = substr($i, 10)
      if ($i ~ /^Status: .* half-installed$/) half = 1
      if ($i ~ /^Version: /) version = 1
    }
    if (!index(unsettled, " " name " ")) { print $0 "\n"; next }
    if (!version || (half && index(mine, " " name " "))) next
    skip = 0
    for (i = 1; i <= NF; i++) {
      if ($i !~ /^[ \t]/) skip = $i ~ /^(Pre-Depends|Depends|Recommends|Conflicts|Breaks):/
      if (skip) continue
      print $i ~ /^Status: / ? "Status: install ok installed" : $i
    }
    print ""
  }' "$root/var/lib/dpkg/status" >"$work/view"
}

deb_install_by_apt() {
  begin 'apt-get install'
  apt install $install_options --no-remove \
    -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--no-force-overwrite \
    -o Dir::Etc::sourceparts="$work/sources.d" "$file"
}

# Where a package of pipit's is not wholly installed, also this one: apt would first configure that one, so dpkg is told what to install.
deb_install_alone() {
  begin 'dpkg --install'
  set -- "$file"
  if [ -n "$others" ]; then
    mkdir -p "$work/others"
    (cd "$work/others" && apt download -o APT::Sandbox::User=root -o Dir::Etc::sourceparts="$work/sources.d" $others) || return
    set -- "$work"/others/*.deb "$file"
  fi
  dpkg_when_free --auto-deconfigure --install "$@" && return 0
  dpkg_status=$?
  # Of those that are pipit's, what this package needs and nothing else is configured now.
  needed=$(sed -n 's/^ *Package \([^ ]*\) is not configured yet\.$/\1/p' "$work/dpkg" | sed 's/:.*//' | sort -u)
  [ -n "$needed" ] || return "$dpkg_status"
  for name in $needed; do
    case " $unsettled" in *" $name "*) ;; *) return "$dpkg_status" ;; esac
    echo "pipit: $PIPIT_PACKAGE needs $(named "$name"), which is configured now"
    dpkg_when_free --configure "$name" || return
  done
  dpkg_when_free --configure "$PIPIT_PACKAGE"
}
`;
