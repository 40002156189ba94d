#!/usr/bin/env bash
# Puts the library that cargo has built where the package looks for it, without what only debuggers read: `place.sh library folder`.
set -euo pipefail
library=$1 folder=$2
platform=$(node -p '`${process.platform}-${process.arch}`')
case $platform in
  linux-*) platform+=$(ldd --version 2>&1 | grep -qi musl && echo -musl || echo -gnu) ;;
esac
target=$folder/undercroft.$platform.node
# Made beside it and moved: a process that has loaded the old one keeps that.
cp "$library" "$target.new"
strip --strip-unneeded "$target.new" 2>/dev/null || echo "undercroft: no \`strip\`: $target keeps what debuggers read" >&2
mv "$target.new" "$target"
