#!/bin/bash
# Starts, stops and wipes Postroom for the side-by-side benchmark, at its safe defaults: two workers, argon2id
# passwords, TLS with one ECDSA certificate, every limit per address in force.
#   postroom.sh start|stop|wipe|status [NAME]
# PEERS: the folder the load generator works in (it reads the pid from $PEERS/NAME/pid).
# POSTROOM: how to call the command; by default this checkout's virtual environment.
set -eu
HERE=$(cd "$(dirname "$0")" && pwd)
NAME=${2:-postroom}
PEERS=${PEERS:-${TMPDIR:-/tmp}/peers}
DIR=$PEERS/$NAME
POSTROOM=${POSTROOM:-$HERE/../../.venv/bin/postroom}
BASE=${BASE:-11000}
export POSTROOM_CONFIG=$DIR/postroom.toml

setup() {
    mkdir -p "$DIR"
    [ -e "$PEERS/cert.pem" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
        -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout "$PEERS/key.pem" -out "$PEERS/cert.pem" 2>/dev/null
    {
        printf '[server]\nhostname = "localhost"\ndata = "%s"\nworkers = %s\n' "$DIR/data" "${WORKERS:-2}"
        printf '[tls]\ncertificate = "%s"\nkey = "%s"\n' "$PEERS/cert.pem" "$PEERS/key.pem"
        printf '[log]\nfile = "%s"\n' "$DIR/server.log"
        # by default what the others do without a filter beside them; CHECKS=yes: who sent mail from outside is checked
        [ "${CHECKS:-no}" = yes ] || printf '[authentication]\nverify = false\n[peers]\nreverse_name = "off"\nhelo_name = "off"\n'
        listener smtp 25 starttls
        listener submission 465 implicit
        listener imap 143 starttls
        listener imap 993 implicit
        listener pop3 110 starttls
        listener pop3 995 implicit
    } >"$DIR/postroom.toml"
    mkdir -p "$DIR/data"
    "$POSTROOM" domain add bench.test
    for n in $(seq -f 'u%02g' 1 50); do
        echo bench-secret-1 | "$POSTROOM" user add "$n@bench.test" --password-stdin 2>/dev/null
    done
}
listener() { printf '[[listener]]\nprotocol = "%s"\nport = %d\ntls = "%s"\n' "$1" $((BASE + $2)) "$3"; }
alive() { [ -e "$DIR/pid" ] && kill -0 "$(cat "$DIR/pid")" 2>/dev/null; }
wait_port() {
    for _ in $(seq 200); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
        sleep 0.1
    done
    echo "port $1 stays closed; see $DIR/stdout.log" >&2
    return 1
}
stop() {
    alive || return 0
    pid=$(cat "$DIR/pid")
    kill "$pid"
    for _ in $(seq 200); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
    kill -9 "$pid"
}
case ${1:-} in
start)
    alive && exit 0
    [ -e "$DIR/postroom.toml" ] || setup
    setsid "$POSTROOM" serve >>"$DIR/stdout.log" 2>&1 </dev/null &
    echo $! >"$DIR/pid"
    wait_port $((BASE + 993))
    wait_port $((BASE + 25))
    ;;
stop) stop ;;
wipe) stop; rm -rf "$DIR/data" "$DIR/postroom.toml" ;;
status) alive && echo "$NAME runs" || echo "$NAME is down" ;;
*) sed -n 2,7p "$0"; exit 2 ;;
esac
