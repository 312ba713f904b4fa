#!/usr/bin/env bash
# Prints the folder of a virtual environment with tests/requirements.txt in it; makes it when it is missing or older.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$PWD/build/venv
mkdir -p build
exec 9>build/venv.lock
flock 9
if ! cmp -s tests/requirements.txt "$folder/requirements.txt"; then
    rm -rf "$folder"
    python3 -m venv "$folder" >&2
    "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement tests/requirements.txt >&2
    cp tests/requirements.txt "$folder/requirements.txt" # last: all of it is there
fi
echo "$folder"
