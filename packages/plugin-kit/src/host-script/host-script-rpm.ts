/** For the shell's own `${...}` in a template. */
const $ = '$';

/** How the host script (`HOST_SCRIPT`) installs an rpm: dnf, or yum where there is none. Only on a real host. */
export const RPM_FUNCTIONS = String.raw`
repo=/etc/yum.repos.d/pipit-$PIPIT_APP.repo
dnf=dnf
command -v dnf >/dev/null 2>&1 || dnf=yum

rpm_read_standing() {
  # What is not there has a line too, and an exit code.
  standing=$(rpm -q --qf '%{EPOCHNUM}:%{VERSION}-%{RELEASE}\n' "$PIPIT_PACKAGE" 2>/dev/null) || standing=
  standing=${$}{standing%%"$newline"*}
  standing=${$}{standing#0:}
  standing_mark=
  [ -z "$standing" ] || standing_mark=$(rpm_mark "$PIPIT_PACKAGE")
}

rpm_look() { rpm_read_standing; }

rpm_preflight() {
  for locks in /etc/dnf/plugins/versionlock.list /etc/yum/pluginconf.d/versionlock.list; do
    if [ -f "$locks" ] && grep -Eq "^([0-9]+:)?$(printf '%s' "$PIPIT_PACKAGE" | sed 's/[.+]/\\&/g')-" "$locks"; then
      conclude refused HOST_PACKAGE_HELD "$PIPIT_PACKAGE is locked to a version on this host ($locks)"
    fi
  done
  if rpm_is_needed "$PIPIT_PACKAGE"; then
    conclude refused HOST_PACKAGE_ESSENTIAL "$PIPIT_PACKAGE is a package that this host cannot do without. Nothing was installed"
  fi
  if [ -n "$standing" ] && ! is_ours "$state" "$standing" "$standing_mark"; then
    if [ "$PIPIT_TAKE_OVER" = no ]; then
      conclude refused HOST_PACKAGE_FOREIGN "$PIPIT_PACKAGE $standing stands on this host and is not pipit's. Nothing was installed"
    fi
    echo "pipit: $PIPIT_PACKAGE $standing, which is not pipit's, is taken over: the config allows it"
  fi
}

# dnf's own list of what is never removed, and what everything on the host needs.
rpm_is_needed() {
  case $1 in bash | coreutils | dnf | filesystem | glibc | kernel | kernel-core | rpm | setup | systemd | yum) return 0 ;; esac
  cat /etc/dnf/protected.d/*.conf /etc/yum/protected.d/*.conf 2>/dev/null | grep -qxF -- "$1"
}

# Disabled, so that nothing but this script installs from it. The index must be signed, and it names the digests of the packages.
rpm_write_source() {
  mkdir -p /etc/yum.repos.d /etc/pki/rpm-gpg
  write_keys "/etc/pki/rpm-gpg/pipit-$PIPIT_APP"
  (umask 077 && write_changed "$repo" "$PIPIT_SOURCE")
}

ours_only() { limited "$dnf" -q -y --disablerepo='*' --enablerepo="pipit-$PIPIT_APP" "$@"; }

rpm_update_source() {
  begin "$dnf makecache"
  ours_only clean metadata >/dev/null 2>&1
  ours_only makecache >"$work/update" 2>&1 && return 0
  cat "$work/update"
  conclude_if_late
  conclude failed HOST_UPDATE_FAILED "$dnf makecache of $repo failed: $(grep -v '^$' "$work/update" | tail -n 1)"
}

rpm_download() {
  ours_only repoquery --location "$PIPIT_PACKAGE-$PIPIT_VERSION" >"$work/location" 2>"$work/download"
  cat "$work/download"
  conclude_if_late
  address=$(grep -E '^(https?|file):' "$work/location" | tail -n 1)
  [ -n "$address" ] || conclude failed HOST_VERSION_NOT_OFFERED "The source of this host's ring has no $PIPIT_PACKAGE $PIPIT_VERSION"
  file=$work/file/package.rpm
  curl -fsSL --max-time "$PIPIT_LIMIT_SECONDS" -K - -o "$file" -- "$address" >"$work/download" 2>&1 9>&- <<END || conclude failed HOST_DOWNLOAD_FAILED "$PIPIT_PACKAGE $PIPIT_VERSION could not be downloaded: $(tail -n 1 "$work/download")"
$PIPIT_AUTH
END
}

# dnf says what to do with a file by what is installed: only one of these three changes something.
rpm_install_file() {
  before=$standing
  for way in install downgrade reinstall; do
    begin "$dnf $way"
    limited "$dnf" -q -y "$way" "$file" >"$work/install" 2>&1
    cat "$work/install"
    conclude_if_late
    [ "$way" != install ] || [ "$before" != "$PIPIT_VERSION" ] || continue
    rpm_read_standing
    [ "$standing" != "$PIPIT_VERSION" ] || break
  done
  if [ "$status" -ne 0 ] || [ "$standing" != "$PIPIT_VERSION" ]; then
    grep -q 'No space left on device' "$work/install" && conclude failed HOST_DISK_FULL "The disk of this host became full while $PIPIT_PACKAGE $PIPIT_VERSION was installed"
    conclude failed HOST_INSTALL_FAILED "$dnf could not install $PIPIT_PACKAGE $PIPIT_VERSION (exit $status): $(grep -v '^$' "$work/install" | tail -n 2 | tr '\n' ' ')"
  fi
}
`;
