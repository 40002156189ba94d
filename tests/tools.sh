#!/usr/bin/env bash
# Checks for what the build needs, and installs what Debian has where it may: `tools.sh [python [command...]]`, where the
# commands have the names of their packages.
set -euo pipefail
python=${1:-python3}
say() { echo "undercroft: $*" >&2; }

command -v cargo >/dev/null || { say "no cargo: install a Rust toolchain first (rustup.rs)"; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { say "\`$python\` is not Python 3.10 or newer: set PYTHON=..."; exit 1; }

missing=()
command -v cc >/dev/null || missing+=(build-essential)
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
for tool in "${@:2}"; do
  command -v "$tool" >/dev/null || missing+=("$tool")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install "${missing[@]}" >/dev/null
else
  say "please install: ${missing[*]}"
  exit 1
fi
