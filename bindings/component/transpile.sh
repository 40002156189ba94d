#!/usr/bin/env bash
# Makes JavaScript of a component: `transpile.sh IN.wasm OUT_FOLDER`, with the jco of node/node_modules (`make node-tools`).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
in=${1:?which component}
out=${2:?where to write the JavaScript}

"$here/../../node/node_modules/.bin/jco" transpile -q "$in" --name undercroft -o "$out"
# jco 1.35 looks up a variable of the environment some fifty times a call, to see whether to log: that is half of a get. Once is enough.
asked='globalThis?.process?.env?.JCO_DEBUG'
grep -qF "if (!$asked)" "$out/undercroft.js" || { echo "undercroft: jco does not ask for JCO_DEBUG as it did: see $0" >&2; exit 1; }
sed -i "s/if (!$asked)/if (!IS_LOGGED)/; 2i const IS_LOGGED = Boolean($asked);" "$out/undercroft.js"
