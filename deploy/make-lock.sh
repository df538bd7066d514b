#!/usr/bin/env bash
# Writes requirements.lock: what pip resolves from pyproject.toml today, in an environment made for this alone.
set -euo pipefail
cd "$(dirname "$0")/.."

fresh=.venv-lock
rm -rf "$fresh"
"${PYTHON:-python3.11}" -m venv "$fresh"
"$fresh/bin/pip" install --quiet torch==2.13.0
"$fresh/bin/pip" install --quiet --editable '.[flows,training,serving,dev]'
# A local build's suffix (+cpu) is cut: the lock names the version, pip's indexes choose the build.
{
    echo "# Made by 'make lock'. Constraints for every install; change pyproject.toml, then run it again."
    "$fresh/bin/pip" freeze --exclude-editable | sed -E 's/\+[a-z0-9.]+$//' | grep -v -E '^(nvidia-|triton==|aisle)'
} >requirements.lock
rm -rf "$fresh"
