#!/usr/bin/env bash
# Finds a Rust toolchain that builds for wasm32-wasip2, and prints how to use it, for `eval`.
#
# The one on the path will do if it has the target's standard library (`rustup target add wasm32-wasip2`). Otherwise
# Debian's packages of Rust for the web are unpacked into a folder of ours: nothing is installed and no root is needed.
# Debian has the source of the standard library, so that is built too (`-Z build-std`).
#
#   WASM_TOOLCHAIN     auto (default), rustup (what is on the path, or fail) or debian
#   UNDERCROFT_CACHE   where Debian's toolchain is kept: 150 MB of packages, 1 GB unpacked
set -euo pipefail

target=wasm32-wasip2
home=${UNDERCROFT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/undercroft}/wasm-toolchain
suite=bookworm-backports # bookworm's own wasi-libc knows no WASI 0.2
mode=${WASM_TOOLCHAIN:-auto}

say() { echo "undercroft: $*" >&2; }

has_target() {
  local folder
  folder=$(rustc --print target-libdir --target $target 2>/dev/null) && compgen -G "$folder/libstd-*.rlib" >/dev/null
}

# An index of packages of our own, of the same mirrors as the system's and of backports; the system's stays as it is.
write_apt() {
  local mirror
  mkdir -p "$home"/{apt/lists/partial,apt/cache,apt/sources,debs/partial}
  for source in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [ ! -e "$source" ] || cp "$source" "$home/apt/sources/"
  done
  cat > "$home/apt/conf" <<APT
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$home/apt/sources";
Dir::State::lists "$home/apt/lists";
Dir::Cache "$home/apt/cache";
Dir::Cache::archives "$home/debs";
APT::Sandbox::User "$(id -un)";
APT::Keep-Downloaded-Packages "true";
Acquire::Languages "none";
Debug::NoLocking "1";
APT
  apt update >&2
  mirror=$(apt indextargets --format '$(RELEASE) $(SITE)' 'Identifier: Packages' | awk '$1 == "bookworm" { print $2; exit }')
  [ -n "$mirror" ] || { say "no source of packages is Debian bookworm; run: rustup target add $target"; exit 2; }
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$home/apt/sources/backports.list"
  apt update >&2
}

apt() { APT_CONFIG=$home/apt/conf apt-get -qq "$@"; }

# Downloads packages with what they depend on, beside what the system has.
fetch() { apt -y --no-install-recommends --download-only install "$@" >&2; unpack; }

# Downloads packages alone.
fetch_only() { (cd "$home/debs" && apt download "$@" >&2); unpack; }

unpack() {
  local package
  for package in "$home"/debs/*.deb; do
    grep -qxF "${package##*/}" "$home/unpacked" 2>/dev/null && continue
    dpkg -x "$package" "$home" && echo "${package##*/}" >> "$home/unpacked"
  done
}

prepare() {
  local usr=$home/usr llvm parts
  say "unpacking Debian's Rust for WebAssembly into $home"
  rm -rf "$home"
  write_apt
  fetch rustc-web cargo-web rust-web-src
  fetch_only "wasi-libc/$suite"
  fetch_only rust-web-llvm # for its wasm-component-ld; the LLVM it depends on is not needed
  llvm=$("$usr/bin/rustc" -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
  fetch "lld-$llvm"
  parts=$usr/lib/rustlib/$target/lib/self-contained
  mkdir -p "$parts"
  cp "$usr/lib/$target"/{crt1-command.o,crt1-reactor.o,libc.a} "$parts/"
  ln -sfn "$usr/lib/llvm-$llvm/bin" "$home/lld"
  [ -x "$usr/lib/rustlib/x86_64-unknown-linux-gnu/bin/wasm-component-ld" ] || { say "rust-web-llvm has no wasm-component-ld"; exit 2; }
  [ -x "$home/lld/wasm-ld" ] || { say "lld-$llvm has no wasm-ld"; exit 2; }
  rm -rf "$home/debs" "$home/apt"
  touch "$home/ready"
}

case $mode in auto | rustup | debian) ;; *) say "WASM_TOOLCHAIN is \`$mode\`; use auto, rustup or debian"; exit 2 ;; esac

if [ "$mode" != debian ] && has_target; then
  echo "wasm_kind=path wasm_flags=() wasm_small="
  exit
fi
[ "$mode" != rustup ] || { say "no standard library for $target; run: rustup target add $target"; exit 2; }
[ "$(uname -m)" = x86_64 ] || { say "no standard library for $target; run: rustup target add $target"; exit 2; }
command -v apt-get >/dev/null || { say "no standard library for $target and no apt-get; run: rustup target add $target"; exit 2; }

export LD_LIBRARY_PATH=$home/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
[ -e "$home/ready" ] || prepare
# Panics that say nothing are smaller by a tenth, where rustc can: the standard library is built with them.
small="-Zunstable-options -Cpanic=immediate-abort"
# shellcheck disable=SC2086 # two words
RUSTC_BOOTSTRAP=1 "$home/usr/bin/rustc" $small --target $target --print cfg >/dev/null 2>&1 || small=
cat <<USE
wasm_kind=debian wasm_flags=(-Z build-std=std,panic_abort -Z build-std-features=optimize_for_size)
wasm_small="$small"
export LD_LIBRARY_PATH=$LD_LIBRARY_PATH
export PATH=$home/usr/bin:$home/lld:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export RUSTC=$home/usr/bin/rustc RUSTC_BOOTSTRAP=1
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS RUSTUP_TOOLCHAIN RUSTC_WRAPPER
USE
