import { BLOCKED_NETWORKS, RESOLVER_ADDRESS, SANDBOX_NETWORK } from './sandbox-network.js';

/** For the shell's own `${...}` in a template. */
const $ = '$';

/** How long a network may take to come up; on a busy machine it takes a tenth of a second. */
const NETWORK_START_SECONDS = 20;

/** Why the command did not start, in the same place each time. */
const UNREACHABLE = 'reject with icmpx type admin-prohibited';

/**
 * Functions of the work's script for `network=outbound`: a network namespace that slirp4netns connects with the outside, from a process that has no
 * rights there. What may be reached is filtered in the namespace, before the command begins and without a right of the command to change it. Routes
 * alone would not do: a socket that is bound to the device (SO_BINDTODEVICE) ignores them.
 *
 * - `blocked`: addresses, each a line, that are this machine's own.
 * - `allow`: lines `<address, network or name> [<port>]` that may be reached although they are private or this machine's.
 * - `userns`: what `unshare` needs beside `--net`.
 */
export const NETWORK_FUNCTIONS = String.raw`
pw_network_rules() {
  local pw_host pw_port pw_address pw_dport
  printf '%s\n' 'table inet pipit {' 'chain out {' 'type filter hook output priority 0; policy accept;' 'oifname "lo" accept'
  echo 'meta nfproto ipv6 ${UNREACHABLE}'
  echo 'ip daddr ${RESOLVER_ADDRESS} meta l4proto { tcp, udp } th dport 53 accept'
  while read -r pw_host pw_port; do
    pw_dport=
    [ -z "$pw_port" ] || pw_dport="meta l4proto { tcp, udp } th dport $pw_port"
    case $pw_host in
    '') ;;
    *[!0-9./]*)
      # A name has no addresses when it is not known today: what is not allowed stays closed.
      while read -r pw_address _; do echo "ip daddr $pw_address $pw_dport accept"; done < <(getent ahostsv4 "$pw_host" | sort -u)
      ;;
    *) echo "ip daddr $pw_host $pw_dport accept" ;;
    esac
  done <<< "$pw_allow"
  echo 'ip daddr { ${BLOCKED_NETWORKS.join(', ')} } ${UNREACHABLE}'
  while read -r pw_address; do
    [ -z "$pw_address" ] || echo "ip daddr $pw_address ${UNREACHABLE}"
  done <<< "$pw_blocked"
  printf '%s\n' '}' '}'
}
# Runs in the namespace, as the command will, but with the right to filter. The supervisor then connects it.
pw_network_inside='nft -f - <<< "$1" || exit 1
shift
printf 1 >&6
read -r -t ${NETWORK_START_SECONDS} -u 7 || exit 1
exec "$@" 6>&- 7<&-'
pw_network_prepare() {
  exec {pw_up}<> <(:) {pw_go}<> <(:)
  pw_enter=(unshare --net $pw_userns -- /bin/bash --norc -c "$pw_network_inside" pipit-network "$(pw_network_rules)")
}
pw_network_connect() {
  local pw_word= pw_try
  # Looked at without a time limit on the read itself: one that strikes while bash reads loses what was read.
  for ((pw_try = 0; pw_try < ${NETWORK_START_SECONDS} * 100; pw_try++)); do
    if read -t 0 -u "$pw_up"; then break; fi
    kill -0 "$pw_child" || return 1
    pw_pause .01
  done
  read -t 0 -u "$pw_up" || return 1
  # Its own sandbox detaches all mounts, and as root it would do so for the machine too: /run/netns, /sys/fs/cgroup, where mounts are shared.
  pw_apart=()
  [ -n "$pw_userns" ] || pw_apart=(unshare --mount --propagation private --)
  # It ends with this process: its standard input is then closed.
  coproc PW_NETWORK {
    exec "${$}{pw_apart[@]}" slirp4netns --configure --disable-host-loopback --enable-sandbox --enable-seccomp --cidr=${SANDBOX_NETWORK} \
      --exit-fd=0 --ready-fd=3 "$pw_child" tap0 3>&1 > /dev/null {pw_in}<&- {pw_out}>&- {pw_err}>&- {pw_up}>&- {pw_go}>&- {pw_never}>&-
  }
  pw_word=
  read -r -N 1 -t ${NETWORK_START_SECONDS} -u "${$}{PW_NETWORK[0]}" pw_word
  [ "$pw_word" = 1 ] || return 1
  echo go >&"$pw_go"
}
`;
