#!/usr/bin/env bash
# Runs the fuzz targets of fuzz/, two at a time.
#
#   tests/fuzz.sh [SECONDS] [TARGET...]    each for SECONDS (20), all targets unless some are named
#   tests/fuzz.sh 0                        each once over its corpus
#   tests/fuzz.sh 3600 csv schema          an hour of each
#
# What is found grows build/fuzz/found/TARGET and is used again next time; fuzz/corpus/TARGET is only read. A crash,
# leak, timeout (10 s) or more than 1 GiB of memory fails: the input is then in build/fuzz/crashes.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0"; }

seconds=20
case ${1:-} in
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    [0-9]*) seconds=$1; shift ;;
esac
[[ $seconds =~ ^[0-9]+$ ]] || { usage >&2; exit 2; }
targets=("$@")
if [[ ${#targets[@]} -eq 0 ]]; then
    for source in fuzz/*_fuzz.c; do
        targets+=("$(basename "$source" _fuzz.c)")
    done
fi
for target in "${targets[@]}"; do
    [[ -f fuzz/${target}_fuzz.c ]] || { echo "fuzz.sh: there is no target $target" >&2; exit 2; }
done

cmake --preset fuzz >/dev/null
cmake --build --preset fuzz >/dev/null || { cmake --build --preset fuzz; exit 1; }
mkdir -p build/fuzz/crashes build/fuzz/logs

run_one() {
    local target=$1 log=build/fuzz/logs/$1.log bound=(-max_total_time="$2")
    [[ $2 != 0 ]] || bound=(-runs=0)
    mkdir -p "build/fuzz/found/$target"
    if build/fuzz/fuzz/"${target}_fuzz" "${bound[@]}" -timeout=10 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/crashes/$target-" "build/fuzz/found/$target" "fuzz/corpus/$target" >"$log" 2>&1; then
        printf 'ok    %-14s %s executions\n' "$target" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    else
        tail -n 50 "$log"
        printf 'FAIL  %-14s %s\n' "$target" "$log"
        sed -n "s|.*Test unit written to \(.*\)|      again: build/fuzz/fuzz/${target}_fuzz \1|p" "$log"
        return 1
    fi
}
export -f run_one
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
printf '%s\n' "${targets[@]}" | xargs -P 2 -I '{}' bash -c "run_one {} $seconds"
