#!/usr/bin/env bash
# Chromium for the tests of pages: found, installed with apt where we may, else said how.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then exit 0; fi
done

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    else
        echo "The page tests need Chromium and this user may not install it. Ask for: apt-get install chromium" >&2
        exit 1
    fi
fi
if ! command -v apt-get >/dev/null; then
    echo "The page tests need Chromium, and this system has no apt-get. Install 'chromium' or 'google-chrome'." >&2
    exit 1
fi
echo "Installing Chromium with apt-get"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq </dev/null
"${as_root[@]}" apt-get install -y -qq --no-install-recommends chromium </dev/null >/dev/null
command -v chromium >/dev/null || command -v chromium-browser >/dev/null
