#!/usr/bin/env bash
# Millrace on one machine, from a fresh clone: installs what is missing, builds, starts a coordinator and two workers,
# applies both sample tenants, uploads their samples, runs them, and shows the ledger and what is in the store.
#
#   deploy/quickstart.sh            runs on until Ctrl-C
#   deploy/quickstart.sh --once     ends by itself; exit 0 only if every row is accounted for
#   deploy/quickstart.sh --clean    ends what a former quickstart left running, removes all it made, and exits
#
# Everything lies in run/quickstart below the checkout (MILLRACE_HOME to put it elsewhere); the REST API listens on
# 127.0.0.1:8083 (MILLRACE_PORT).
set -euo pipefail
cd "$(dirname "$0")/.."

home=${MILLRACE_HOME:-$PWD/run/quickstart}
port=${MILLRACE_PORT:-8083}
cli=build/release/cli/millrace
once=0
pids=()

usage() { sed -n '2,11s/^# \{0,1\}//p' "$0"; }
say() { printf '\n== %s\n' "$*"; }

# Only what this script started: pid and start time were written down.
start_time() { awk '{ sub(/^.*\) /, ""); print $20 }' "/proc/$1/stat" 2>/dev/null || true; }

end_former() {
    [[ -f $home/pids ]] || return 0
    local pid begun
    while read -r pid begun; do
        [[ $(start_time "$pid") == "$begun" ]] || continue
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 150); do
            [[ $(start_time "$pid") == "$begun" ]] || break
            sleep 0.1
        done
    done <"$home/pids"
    rm -f "$home/pids"
}

finish() {
    trap - EXIT INT TERM
    [[ ${#pids[@]} -gt 0 ]] && kill "${pids[@]}" 2>/dev/null
    wait || true
    rm -f "$home/pids"
}

launch() { # NAME COMMAND...
    local name=$1
    shift
    "$@" >>"$home/$name.log" 2>&1 &
    pids+=($!)
    echo "$! $(start_time $!)" >>"$home/pids"
}

wait_for() { # SECONDS WHAT COMMAND...
    local limit=$(($1 * 10)) what=$2
    shift 2
    for _ in $(seq "$limit"); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    echo "quickstart: $what did not happen; the logs are in $home" >&2
    exit 1
}

both_alive() { [[ $("$cli" worker list --output json | grep -o '"alive"' | wc -l) == 2 ]]; }

case ${1:-} in
    '') ;;
    --once) once=1 ;;
    --clean)
        end_former
        rm -rf --one-file-system "$home"
        exit 0
        ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
esac

say "installing and building (first time: a minute or two)"
deploy/install-deps.sh
cmake --preset release >/dev/null
cmake --build --preset release | tail -n 1

end_former
mkdir -p "$home"
trap finish EXIT
trap 'exit 130' INT TERM
export MILLRACE_COORDINATOR=http://127.0.0.1:$port

say "starting a coordinator and two workers in $home"
cat >"$home/coordinator.properties" <<END
data.dir=$home/data
listen=127.0.0.1:$port
END
launch coordinator build/release/coordinator/millrace-coordinator --config "$home/coordinator.properties"
for n in 1 2; do
    cat >"$home/worker-$n.properties" <<END
name=worker-$n
coordinator=ipc://$home/data/rpc.sock
staging.dir=$home/data/staging
state.dir=$home/worker-$n
END
    launch "worker-$n" build/release/worker/millrace-worker --config "$home/worker-$n.properties"
done
wait_for 20 "both workers reporting to the coordinator" both_alive
"$cli" worker list

failed=0
for tenant in client_a client_b; do
    say "tenant $tenant: agreement, data file configuration, program; its sample; a run"
    "$cli" tenant apply "tenants/$tenant"
    "$cli" upload "$tenant" "tenants/$tenant/sample.csv"
    "$cli" run now "$tenant" --wait || failed=1
done

say "the ledger: what was read is what was stored, or it says where it is"
for tenant in client_a client_b; do
    "$cli" ledger "$tenant"
done

say "a few stored rows"
"$cli" query client_a 'SELECT PROVINCECODE, DEVICEID, ONUID, TIME, SPEEDIN, SPEEDOUT FROM analytics LIMIT 5'
"$cli" query client_b 'SELECT product_id, star_rating, review_headline FROM product_reviews LIMIT 5'

# Accounted for: at least one line each, nothing in flight, every count adds up.
verdict() {
    for tenant in client_a client_b; do
        "$cli" ledger "$tenant" --output json
    done | python3 -c '
import json, sys
decoder, text, lines = json.JSONDecoder(), sys.stdin.read().strip(), []
while text:
    part, end = decoder.raw_decode(text)
    lines, text = lines + part, text[end:].lstrip()
exact = all(l["read"] == l["filtered"] + l["rejected_source"] + l["produced"]
            and l["produced"] == l["delivered"] + l["rejected_sink"] + l["abandoned"] + l["in_flight"]
            and l["in_flight"] == 0 for l in lines)
tenants = {l["tenant"] for l in lines if l["read"] > 0}
read, stored = sum(l["read"] for l in lines), sum(l["delivered"] for l in lines)
if not exact or len(tenants) != 2:
    sys.exit(f"quickstart: rows are missing from the ledger: {lines}")
print(f"every row is accounted for: {read} read, {stored} delivered")'
}

if [[ $once = 1 ]]; then
    [[ $failed = 0 ]] || { echo "quickstart: a run failed; the logs are in $home" >&2; exit 1; }
    say "verdict"
    verdict
    exit 0
fi

say "what to try next (this goes on until Ctrl-C)"
cat <<END
  $cli status
  $cli run list client_b                      # its schedule is every minute
  $cli upload client_a FILE.csv               # tenants/generate.py makes files of any size
  $cli schedule show client_a
  $cli rejected list client_a
  curl $MILLRACE_COORDINATOR/tenants
  docs/tenant.md, docs/operator.md, $cli --help
END
[[ $port == 8083 ]] || echo "  (export MILLRACE_COORDINATOR=$MILLRACE_COORDINATOR)"
wait -n "${pids[@]}" || true
echo "quickstart: a process ended; the logs are in $home" >&2
exit 1
