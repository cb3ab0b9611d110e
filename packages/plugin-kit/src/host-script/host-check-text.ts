/** The health check of a host, on that host: for the host script and for a look at it. It needs bash for `http` and `tcp`, which every deb and rpm host has. */
export const CHECK_FUNCTIONS = String.raw`
# Passes, or says why not. http and tcp speak with the host's own address, as whoever uses the service does.
check_once() {
  case $PIPIT_CHECK in
    http)
      answer=$(timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2" || exit 1
        printf "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: pipit-health\r\nConnection: close\r\n\r\n" "$3" "$1" "$2" >&3
        IFS= read -r line <&3 && printf "%s" "$line"' bash "$PIPIT_CHECK_ADDRESS" "$PIPIT_CHECK_PORT" "$PIPIT_CHECK_PATH" 2>/dev/null | tr -d '\r')
      case $answer in 'HTTP/1.'[01]' 2'[0-9][0-9]*) return 0 ;; esac
      code=$(printf '%s' "$answer" | sed -n 's,^HTTP/1\.[01] \([0-9][0-9][0-9]\).*,\1,p')
      if [ -n "$code" ]; then code="answered $code"; else code='gave no answer'; fi
      printf 'http://%s:%s%s %s' "$PIPIT_CHECK_ADDRESS" "$PIPIT_CHECK_PORT" "$PIPIT_CHECK_PATH" "$code"
      return 1
      ;;
    tcp)
      timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2"' bash "$PIPIT_CHECK_ADDRESS" "$PIPIT_CHECK_PORT" >/dev/null 2>&1 && return 0
      printf '%s:%s takes no connection' "$PIPIT_CHECK_ADDRESS" "$PIPIT_CHECK_PORT"
      return 1
      ;;
    command)
      said=$(timeout 30 /bin/sh -c "$PIPIT_CHECK_COMMAND" </dev/null 2>&1)
      code=$?
      [ "$code" -eq 0 ] && return 0
      printf 'the command ended with %s: %s' "$code" "$(printf '%s' "$said" | tail -c 300 | tr '\n' ' ')"
      return 1
      ;;
  esac
}
`;
