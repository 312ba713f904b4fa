#!/usr/bin/env bash
# Installs what Millrace is built from and tested with: Debian packages only.
#
#   deploy/install-deps.sh           to build and run
#   deploy/install-deps.sh --tests   to run the tests as well
#
# Does nothing, without asking for root, when all is there.
set -euo pipefail

build=(
    gcc libc6-dev cmake ninja-build pkg-config
    libuv1-dev libnng-dev libprotobuf-c-dev protobuf-c-compiler
    tzdata libsqlite3-dev libmicrohttpd-dev libcurl4-openssl-dev libjansson-dev libssl-dev libarchive-dev
    python3
)
tests=(clang libclang-rt-14-dev clang-format libcmocka-dev libavro-dev sqlite3 curl git python3-croniter python3-venv)

usage() { sed -n '2,7s/^# \{0,1\}//p' "$0"; }

packages=("${build[@]}")
case ${1:-} in
    '') ;;
    --tests) packages+=("${tests[@]}") ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
esac

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ $status == installed ]] || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

as_root=()
if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null || { echo "install-deps: needs root for: ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
fi
echo "install-deps: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
