#!/bin/sh
# Installs Debian packages that are missing; says the command instead where we may not.
set -eu
missing=""
for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "install ok installed" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "prehend: not a Debian or Ubuntu machine; please install what corresponds to:$missing" >&2
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "prehend: missing system packages. Run: sudo apt-get install -y$missing" >&2
    exit 1
fi
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
