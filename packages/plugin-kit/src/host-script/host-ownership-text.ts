/** What counts as pipit's on a host, for the host script and for a look at the host. */
export const OWNERSHIP_FUNCTIONS = String.raw`
# is_ours FOLDER VERSION MARK: the installed version of a package is pipit's when its control file has pipit's field (MARK is not empty), or when
# the receipt or the intent in FOLDER, which is pipit's for this package, names that version.
is_ours() {
  [ -z "$3" ] || return 0
  grep -qF "\"version\":\"$2\"" "$1/receipt.json" "$1/intent.json" 2>/dev/null
}

# What an rpm has in place of the field: prints it, or nothing.
rpm_mark() { rpm -q --provides -- "$1" 2>/dev/null | grep -m 1 '^pipit-commit('; }
`;
