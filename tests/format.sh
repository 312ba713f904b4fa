#!/usr/bin/env bash
# Says which C files are not as clang-format would write them.
set -euo pipefail
cd "$(dirname "$0")/.."
git ls-files '*.c' '*.h' | xargs clang-format --dry-run --Werror
