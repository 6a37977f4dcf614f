#!/bin/sh
# Sees to a Chromium for the browser tests: installs Debian's where it may. Without one the tests
# that need it are skipped, and this says so; in CI (CI=true) that is an error. Most of them run in
# chromium-headless-shell where it is there: it takes a fifth less time.
has() { command -v "$1" >/dev/null; }
whole() { has chromium || has chromium-browser || has google-chrome; }

[ -n "$SWITCHBOARD_TEST_CHROMIUM" ] && exit 0
wanted=
whole || wanted=chromium
has chromium-headless-shell || wanted="$wanted chromium-headless-shell"
if [ -n "$wanted" ] && [ "$(id -u)" = 0 ] && has apt-get; then
    echo "Installing Chromium for the browser tests (apt-get)."
    apt-get update -qq
    for package in $wanted; do
        apt-get install -y -qq --no-install-recommends "$package" >/dev/null
    done
fi
whole && exit 0
if [ "$CI" = true ]; then
    echo "No Chromium, and CI may not skip the browser tests." >&2
    exit 1
fi
echo "*** NO CHROMIUM: BROWSER TESTS WILL BE SKIPPED. Install the package chromium to run them. ***" >&2
