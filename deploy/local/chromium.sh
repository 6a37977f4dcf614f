#!/bin/sh
# Sees to a Chromium for the browser tests: installs Debian's where it may. Without one the tests
# that need it are skipped, and this says so; in CI (CI=true) that is an error.
[ -n "$SWITCHBOARD_TEST_CHROMIUM" ] && exit 0
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the browser tests (apt-get)."
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
        && command -v chromium >/dev/null && exit 0
fi
if [ "$CI" = true ]; then
    echo "No Chromium, and CI may not skip the browser tests." >&2
    exit 1
fi
echo "*** NO CHROMIUM: THE BROWSER TESTS WILL BE SKIPPED. Install the package chromium to run them. ***" >&2
