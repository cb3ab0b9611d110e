/** How often a try was started on a host, for who launches it and who looks at it. */
export const TRIES_FUNCTIONS = `
# count_tries FILE: sets tries to its lines, a line a start; none where there is no such file.
count_tries() {
  tries=0
  [ -e "$1" ] || return 0
  while read -r line; do tries=$((tries + 1)); done <"$1"
}
`;
