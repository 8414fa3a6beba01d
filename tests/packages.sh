#!/bin/sh
# Installs those of the named Debian packages that are missing, and says which.
set -eu
command -v dpkg-query >/dev/null || {
    echo "not a Debian system: these packages are taken to be there: $*"
    exit 0
}
missing=
for package in "$@"; do
    # A tool that comes with the machine is as good as its package.
    case $package in gcc | g++ | clang-tidy | clang-format | cppcheck) command -v "$package" >/dev/null && continue ;; esac
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
echo "installing packages:$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
$sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
