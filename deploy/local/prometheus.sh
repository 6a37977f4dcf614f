#!/bin/sh
# Sees to Prometheus and promtool for the tests: takes both out of Debian's package, into .venv/prometheus.
# The package itself is not installed, since that would start a server. Without them the tests that need
# them are skipped, and this says so; in CI (CI=true) that is an error.
has() { command -v "$1" >/dev/null; }
folder="$(cd "$(dirname "$0")/../.." && pwd)/.venv/prometheus"
there() { [ -x "$folder/prometheus" ] && [ -x "$folder/promtool" ]; }

{ has prometheus && has promtool; } && exit 0
there && exit 0

if has apt-get && has dpkg-deb; then
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    cd "$scratch" || exit 1
    chmod 755 . # apt fetches as a user of its own
    if ! apt-get download -qq prometheus >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
        apt-get update -qq && apt-get download -qq prometheus >/dev/null
    fi
    if dpkg-deb -x prometheus_*.deb . 2>/dev/null; then
        echo "Taking Prometheus for the tests out of Debian's package."
        mkdir -p "$folder"
        cp usr/bin/prometheus usr/bin/promtool "$folder"
    fi
fi
there && "$folder/promtool" --version >/dev/null 2>&1 && exit 0
rm -rf "$folder"
if [ "$CI" = true ]; then
    echo "No Prometheus, and CI may not skip the tests that need it." >&2
    exit 1
fi
echo "*** NO PROMETHEUS: ITS TESTS WILL BE SKIPPED. Install prometheus and promtool, or put them on the PATH. ***" >&2
