#!/usr/bin/env bash
# Installs what is missing, builds, and runs all tests.
#
#   tests/run.sh            everything
#   tests/run.sh --quick    without the long ones
#   tests/run.sh NAME...    only the scenarios tests/scenarios/NAME.py
#
# The tree is built by gcc and clang. Unit tests run with AddressSanitizer and UndefinedBehaviorSanitizer, and with
# ThreadSanitizer. Fuzz targets run for 20 s each, with --quick once over their corpora. Scenarios start real processes of
# the asan build, as many at a time as there are cores; those that measure times (ALONE = True) one by one. Logs stay in
# build/test-logs.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,12s/^# \{0,1\}//p' "$0"; }

quick=0 names=()
for argument in "$@"; do
    case $argument in
        --quick) quick=1 ;;
        -h | --help) usage; exit 0 ;;
        -*) usage >&2; exit 2 ;;
        *) names+=("$argument") ;;
    esac
done

logs=build/test-logs
passed=0 failed=0 started=$SECONDS

# attempt NAME COMMAND...: runs it with its output in a log, which is shown when it fails.
attempt() {
    local name=$1 begun=$SECONDS log
    log=$logs/$name.log
    shift
    if "$@" >"$log" 2>&1; then
        printf 'ok    %-28s %4d s\n' "$name" $((SECONDS - begun))
    else
        printf 'FAIL  %-28s %4d s   %s\n%s\n' "$name" $((SECONDS - begun)) "$log" "$(tail -n 60 "$log")"
        return 1
    fi
}

step() {
    if attempt "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        return 1
    fi
}

scenario() { attempt "$1" timeout 600 python3 "tests/scenarios/$1.py"; }

# scenarios JOBS NAME...: at most JOBS at a time.
scenarios() {
    local jobs=$1 running=0 name
    shift
    for name in "$@"; do
        if [[ $running = "$jobs" ]]; then
            count_one
            running=$((running - 1))
        fi
        scenario "$name" &
        running=$((running + 1))
    done
    for ((; running > 0; running--)); do count_one; done
}

count_one() {
    if wait -n; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
}

build() { cmake --preset "$1" && cmake --build --preset "$1"; }
unit() { ctest --preset "$1" -j "$(nproc)" --timeout 300; }

mkdir -p "$logs"
deploy/install-deps.sh --tests
tests/venv.sh >/dev/null

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
export TSAN_OPTIONS=halt_on_error=1
export MR_BUILD=$PWD/build/asan

if [[ ${#names[@]} -eq 0 ]]; then
    step format tests/format.sh || true
    step build-release build release || exit 1
    step arrows tests/arrows.py build/release || true
    step build-clang build clang || true
    step fuzz tests/fuzz.sh "$([[ $quick = 1 ]] && echo 0 || echo 20)" || true
    step build-asan build asan || exit 1
    step unit-asan unit asan || true
    step build-tsan build tsan || exit 1
    step unit-tsan unit tsan || true
    for file in tests/scenarios/*.py; do
        [[ $quick = 1 ]] && grep -q '^LONG = True' "$file" && continue
        names+=("$(basename "$file" .py)")
    done
else
    step build-asan build asan || exit 1
fi

together=() alone=()
for name in "${names[@]}"; do
    [[ -f tests/scenarios/$name.py ]] || { echo "run.sh: there is no scenario $name" >&2; exit 2; }
    if grep -q '^ALONE = True' "tests/scenarios/$name.py"; then
        alone+=("$name")
    else
        together+=("$name")
    fi
done
scenarios "$(nproc)" "${together[@]}"
scenarios 1 "${alone[@]}"

echo "took $((SECONDS - started)) s"
echo "$passed passed, $failed failed"
[[ $failed = 0 ]]
