#!/usr/bin/env bash
# Builds a component: `build.sh PACKAGE PROFILE OUT.wasm [cargo's options...]`, where the profile is `component` or `component-small`,
# and the options choose features, such as `--no-default-features` for memory alone or `--features middleware`.
#
# With a toolchain as `toolchain.sh` finds it; CARGO_TARGET_DIR says where cargo builds. If node's packages are installed
# (`make node-tools`), Binaryen's wasm-opt makes the result a seventh smaller.
set -euo pipefail
shopt -s inherit_errexit
here=$(cd "$(dirname "$0")" && pwd)
package=${1:?which package}
profile=${2:?which profile}
out=$(realpath -m "${3:?where to write the component}")
shift 3
say() { echo "undercroft: $*" >&2; }

# What rustc's wasm32-wasip2 has: without the names of functions Binaryen cannot read it from the module.
features=(bulk-memory bulk-memory-opt sign-ext mutable-globals nontrapping-float-to-int multivalue reference-types extended-const)

jco=$here/../../node/node_modules/.bin/jco

# Builds, and prints where. In a shell of its own: the toolchain may have another path and other libraries.
build() (
  use=$("$here/toolchain.sh")
  eval "$use"
  # shellcheck disable=SC2154 # toolchain.sh says which.
  folder=${CARGO_TARGET_DIR:-$here/../../target}/component-$wasm_kind
  cd "$here"
  # What a panic says names files: none of this machine's.
  sources=$("${RUSTC:-rustc}" --print sysroot)/lib/rustlib/src/rust
  export RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src= --remap-path-prefix=$sources=std"
  [ "$profile" != component-small ] || RUSTFLAGS+=" $wasm_small"
  # shellcheck disable=SC2154
  cargo build --quiet --locked -p "$package" --profile "$profile" --target wasm32-wasip2 --target-dir "$folder" "${wasm_flags[@]}" "$@" >&2
  echo "$folder/wasm32-wasip2/$profile/${package//-/_}.wasm"
)

built=$(build "$@")
# A component begins with these bytes; a core module has version 1 (WebAssembly/component-model, Binary.md).
[ "$(head -c 8 "$built" | od -An -tx1 | tr -d ' \n')" = 0061736d0d000100 ] || { say "$built is no component"; exit 1; }
mkdir -p "$(dirname "$out")"
if [ ! -x "$jco" ]; then
  say "$(basename "$out") is not optimised: no jco in node/node_modules"
  cp "$built" "$out.part" && mv "$out.part" "$out"
elif ! cmp -s "$built" "$out.built" || [ ! -e "$out" ]; then
  "$jco" opt -q "$built" -o "$out.part" -- -Oz "${features[@]/#/--enable-}"
  mv "$out.part" "$out"
  cp "$built" "$out.built"
fi
say "$(basename "$out"): $(stat -c %s "$out") bytes"
