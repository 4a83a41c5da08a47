#!/bin/bash
# Inside a fresh Debian: the package is installed, looked at, used and removed. Anything that is
# not as it should be ends it.
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive HOME=/root
mount -t proc proc /proc

fail() { echo "FAILED: $*" >&2; exit 1; }
has() { grep -qF -- "$2" <<<"$1" || fail "no \"$2\" in: $1"; }

echo "-- install"
said=$(dpkg -i /vxscope.deb 2>&1) || fail "$said"
has "$said" "systemctl enable --now"
getent passwd vxscope vxscope-controller >/dev/null || fail "no users"
[ "$(stat -c %a:%G /etc/vxscope/vxscope.toml)" = 640:vxscope ] || fail "mode of the configuration"
[ "$(stat -c %a:%G /etc/vxscope)" = 750:vxscope ] || fail "mode of its folder"

echo "-- units"
units=$(dpkg -L vxscope | grep -E '\.(service|timer)$')
# Without the controller, which is built apart, its units name a program that is not there.
# shellcheck disable=SC2086
said=$(systemd-analyze verify $units 2>&1) || [ ! -x /usr/bin/vxscope-controller ] || fail "$said"
! grep vxscope <<<"$said" | grep -v 'vxscope-controller is not executable' || fail "units: $said"
for unit in vxscope vxscope-controller vxscope-reap; do
    systemd-analyze security --offline=true --threshold=30 "/lib/systemd/system/$unit.service" |
        tail -n 1
done

echo "-- the unit's command"
unit=/lib/systemd/system/vxscope.service
user=$(sed -n 's/^User=//p' $unit)
command=$(sed -n 's/^ExecStart=//p' $unit)
install -d -o "$user" -g vxscope -m 0750 /var/lib/vxscope
# As systemd does it, with a capability that the port may want.
timeout --preserve-status -s TERM 4 setpriv --reuid="$user" --regid=vxscope --init-groups \
    --inh-caps=-all --bounding-set=-all $command >/tmp/said 2>&1 || fail "$(cat /tmp/said)"
has "$(cat /tmp/said)" "ledger: balanced"
[ -s /var/lib/vxscope/out/summary.json ] || fail "no summary"
[ "$(stat -c %a /var/lib/vxscope/out/summary.json)" = 640 ] || fail "mode of the summary"

echo "-- the API over TLS"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=sensor \
    -addext subjectAltName=DNS:sensor -keyout /etc/vxscope/key.pem -out /etc/vxscope/chain.pem 2>/dev/null
install -m 0600 -o vxscope /dev/null /etc/vxscope/tokens
chown root:vxscope /etc/vxscope/key.pem && chmod 0640 /etc/vxscope/key.pem
token=$(vxscope token reader --scopes metadata 2>/dev/null | tee /etc/vxscope/tokens | cut -d" " -f3)
[ -n "$token" ] || fail "no token"
settings=(--set 'api.listen="0.0.0.0:9477"' --set api.exposed=true
    --set 'api.tokens="/etc/vxscope/tokens"' --set 'api.tls_certificate="/etc/vxscope/chain.pem"'
    --set 'api.tls_key="/etc/vxscope/key.pem"')
exposed() {
    exec timeout --preserve-status -s TERM 60 setpriv --reuid="$user" --regid=vxscope --init-groups \
        --inh-caps=-all --bounding-set=-all $command "${settings[@]}"
}
said=$(vxscope check-config "${settings[@]}" 2>&1) || has "$said" "--features tls"
if [ "$said" != ok ]; then
    said=$(exposed 2>&1) && fail "it ran without TLS: $said"
    has "$said" "--features tls"
    echo "this program was built without it, and says so"
else
    exposed >/tmp/said 2>&1 &
    sensor=$!
    ask() {
        curl -sS --retry 50 --retry-delay 1 --retry-connrefused --max-time 30 -o /tmp/answer \
            -w '%{http_code}, verified: %{ssl_verify_result}' --cacert /etc/vxscope/chain.pem \
            --resolve sensor:9477:127.0.0.1 "$@" 2>&1
    }
    has "$(ask -H "authorization: Bearer $token" https://sensor:9477/api/v1/status)" "200, verified: 0"
    has "$(cat /tmp/answer)" '"workers"'
    has "$(ask https://sensor:9477/api/v1/status)" "401, verified: 0"
    ! curl -s --max-time 5 http://127.0.0.1:9477/healthz >/dev/null || fail "it speaks without TLS"
    ! grep -qF "$token" /tmp/said || fail "a token in the log"
    kill "$sensor"
    wait "$sensor" || fail "$(cat /tmp/said)"
    echo "curl was answered, verified the certificate, and nothing went in the clear"
fi

echo "-- demo, as nobody, from any folder"
said=$(cd /tmp && setpriv --reuid=nobody --regid=nogroup --clear-groups \
    env HOME=/tmp vxscope demo --seconds 3 2>&1) || fail "$said"
has "$said" "ledger: balanced"

echo "-- what the README begins with"
said=$(cd /tmp && vxscope replay /pcaps/two-tenants.pcap --out /tmp/out 2>&1) || fail "$said"
has "$said" "229 opened"
has "$said" "ledger: balanced"
[ -s /tmp/out/conn.log ] && [ -s /tmp/out/eve.json ] || fail "no records"

echo "-- manual and completions"
man vxscope-run 2>/dev/null | grep -q -- --interface || fail "no manual page of run"
man vxscope 2>/dev/null | grep -q replay || fail "no manual page"
said=$(bash -c '. /usr/share/bash-completion/completions/vxscope
    COMP_WORDS=(vxscope re) COMP_CWORD=1; _vxscope; echo "${COMPREPLY[*]}"
    COMP_WORDS=(vxscope run --inter) COMP_CWORD=2; _vxscope; echo "${COMPREPLY[*]}"' 2>/dev/null)
has "$said" replay
has "$said" --interface
said=$(fish -c "complete -C 'vxscope re'; complete -C 'vxscope run --inter'")
has "$said" replay
has "$said" --interface
# Zsh has these functions only while somebody types.
said=$(zsh -fc 'autoload -Uz compinit; compinit -u -d /tmp/zcompdump; print $_comps[vxscope]
    compadd() { print -r -- "$@" }; _files() { : }; _describe() { print -r -- "${(P@)2}" }
    try() { words=("$@") CURRENT=$#; . /usr/share/zsh/vendor-completions/_vxscope }
    try vxscope re; try vxscope run --inter')
for part in _vxscope replay --interface; do has "$said" "$part"; done
zsh -n /usr/share/zsh/vendor-completions/_vxscope || fail "zsh's completion is no zsh"

echo "-- tuning explains itself"
has "$(vxscope-tune explain)" "net.core.rmem_max"

echo "-- an upgrade keeps what was configured"
echo "# mine" >>/etc/vxscope/vxscope.toml
dpkg --force-confdef --force-confold -i /vxscope.deb >/dev/null 2>&1
tail -n 1 /etc/vxscope/vxscope.toml | grep -q mine || fail "the configuration was replaced"

echo "-- removal"
if [ -x /usr/bin/vxscope-controller ]; then
    mv /usr/bin/vxscope-controller /usr/bin/vxscope-controller.real
fi
# A controller that lists one session, as the real one does with an account.
printf '#!/bin/sh\n[ "$1" = status ] && echo "tms-0123456789abcdef0  eni-1  full"\n' \
    >/usr/bin/vxscope-controller
chmod +x /usr/bin/vxscope-controller
said=$(dpkg -r vxscope 2>&1) || fail "$said"
has "$said" "mirror sessions that stay, and are billed by the hour"
has "$said" "tms-0123456789abcdef0"
rm -f /usr/bin/vxscope-controller /usr/bin/vxscope-controller.real
[ -e /etc/vxscope/vxscope.toml ] || fail "the configuration went with the package"
said=$(dpkg -P vxscope 2>&1) || fail "$said"
has "$said" "/var/lib/vxscope is kept"
[ ! -e /usr/bin/vxscope ] && [ ! -e /etc/vxscope/vxscope.toml ] || fail "something stayed"
[ -s /var/lib/vxscope/out/summary.json ] || fail "evidence was removed"
echo "-- ok"
