# SPDX-License-Identifier: MIT
# Sourced by tools/run and tools/test: installs what tools/deps names, builds. Sets TOP.
# shellcheck shell=bash
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PATH=$PATH:/usr/sbin:/sbin

die() {
    echo "${0##*/}: $*" >&2
    exit 65
}

missing_packages() {
    sed 's/#.*//' "$TOP/tools/deps" | while read -r package; do
        [ -z "$package" ] || dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            echo "$package"
    done
}

# install_packages INSTALL(yes|no)
install_packages() {
    local missing sudo=()
    missing=$(missing_packages | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    [ "$1" = yes ] || die "missing packages: $missing; apt-get install them, or run without --no-install"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "missing packages: $missing; install them as root"
        echo "${0##*/}: installing with sudo: $missing" >&2
        sudo=(sudo)
    else
        echo "${0##*/}: installing: $missing" >&2
    fi
    local log
    log=$(mktemp)
    # shellcheck disable=SC2086
    if ! { "${sudo[@]}" apt-get update && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 </dev/null; then
        tail -n 5 "$log" >&2
        die "apt-get could not install: $missing (full log: $log)"
    fi
    rm -f "$log"
}

# Debian's kernels into their cache. A machine whose package lists are missing or old is given new ones first.
fetch_kernels() {
    local fetch=(/usr/bin/python3 "$TOP/tests/boot/debian_kernels.py") sudo=()
    if "${fetch[@]}" >/dev/null 2>&1; then
        return 0
    fi
    [ "$(id -u)" = 0 ] || sudo=(sudo -n)
    "${sudo[@]}" apt-get update >/dev/null 2>&1 || true
    "${fetch[@]}" >&2 || die "the gate boots Debian's kernels and cannot have them: apt-get download failed (above)"
}

# build DIR [meson options]: configures once, then builds BUILD_TARGETS (all); quiet unless it fails.
build() {
    local dir=$TOP/$1 log
    shift
    log=$(mktemp)
    if [ ! -f "$dir/build.ninja" ]; then
        (cd "$TOP" && meson setup "$dir" "$@") >"$log" 2>&1 || { cat "$log" >&2; die "meson setup failed"; }
    fi
    # shellcheck disable=SC2086
    ninja -C "$dir" ${BUILD_TARGETS:-all} >"$log" 2>&1 || { cat "$log" >&2; die "the build in $dir failed"; }
    rm -f "$log"
}
