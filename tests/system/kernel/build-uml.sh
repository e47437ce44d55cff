#!/bin/bash
# Builds a user-mode Linux with a full cgroup v2 (cpu, memory, io, pids; CFS bandwidth, PSI, schedstats) from
# Debian's kernel source, and prints the path of the binary as its only line on standard output.
#
# Why not Debian's own user-mode-linux package: it is built without PSI, which the engine lives on.
# The result is cached under the version of the source package and the configuration below: a second call
# takes a moment. Everything that takes long is announced on standard error.
set -euo pipefail

SOURCE_PACKAGE=linux-source-6.1
PACKAGES=("$SOURCE_PACKAGE" flex bison bc gcc libc6-dev make xz-utils)

# On top of x86_64_defconfig of ARCH=um. No autogroup: it would put sessions in groups of their own between
# the cgroups and the tasks, and shares would not be what the test wrote. No modules: nothing to install.
ENABLE="CGROUPS CGROUP_SCHED FAIR_GROUP_SCHED CFS_BANDWIDTH CGROUP_CPUACCT MEMCG BLK_CGROUP BLK_DEV_THROTTLING
CGROUP_PIDS CGROUP_FREEZER CGROUP_DEVICE CGROUP_BPF BPF_SYSCALL PSI SCHED_INFO SCHEDSTATS HIGH_RES_TIMERS
HOSTFS TMPFS DEVTMPFS OVERLAY_FS NAMESPACES UTS_NS IPC_NS PID_NS NET_NS USER_NS SECCOMP SECCOMP_FILTER
DEBUG_INFO_NONE MAGIC_SYSRQ"
DISABLE="PSI_DEFAULT_DISABLED SCHED_AUTOGROUP RT_GROUP_SCHED MODULES SOUND UML_SOUND UML_NET WLAN
DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT"
# Without one of these the kernel would boot and the tests would fail in riddles.
REQUIRED="CFS_BANDWIDTH MEMCG CGROUP_PIDS BLK_DEV_THROTTLING PSI SCHEDSTATS HOSTFS"

say() { echo "build-uml: $*" >&2; }

fail() { say "$*"; exit 1; }

build() {
    local target=$1 work=$2 option
    tar -C "$work" -xf "/usr/src/$SOURCE_PACKAGE.tar.xz"
    cd "$work/$SOURCE_PACKAGE"
    make -s ARCH=um x86_64_defconfig
    for option in $ENABLE; do ./scripts/config -e "$option"; done
    for option in $DISABLE; do ./scripts/config -d "$option"; done
    make -s ARCH=um olddefconfig
    for option in $REQUIRED; do
        grep -q "^CONFIG_$option=y" .config || { echo "CONFIG_$option could not be set"; return 1; }
    done
    make -s -j"$(nproc)" ARCH=um linux
    strip linux
    # A rename within one file system: whoever looks sees no binary or a whole one.
    mv linux "$target"
}

[ "$(uname -s)" = Linux ] || fail "user-mode Linux runs on Linux only"
command -v dpkg-query apt-get >/dev/null || fail "no apt here: the kernel source comes from Debian's packages"
[ "$(uname -m)" = x86_64 ] || fail "user-mode Linux runs on x86_64 only"

"$(dirname "$0")/install-packages.sh" "${PACKAGES[@]}"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/quotapilot
version=$(dpkg-query -W -f '${Version}' "$SOURCE_PACKAGE")
config_hash=$(echo "$ENABLE/$DISABLE" | sha256sum | cut -c1-12)
binary=$cache/uml-$version-$config_hash

if [ ! -x "$binary" ]; then
    mkdir -p "$cache"
    # Two test runs on one machine must not build it twice; the second waits and finds the binary.
    exec 9>"$cache/uml.lock"
    flock 9
fi
if [ ! -x "$binary" ]; then
    work=$cache/build # under the lock: what is there is a build that was killed
    rm -rf "$work"
    mkdir "$work"
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
    say "building user-mode Linux $version once; about four minutes on two cores"
    started=$SECONDS
    # Not `if ! (build)`: under a condition bash ignores set -e inside, and a half-failed build would go on.
    set +e
    (set -e; build "$binary" "$work") >"$work/log" 2>&1 9>&-
    status=$?
    set -e
    if [ "$status" -ne 0 ]; then
        tail -40 "$work/log" >&2
        fail "the build failed; its last lines are above"
    fi
    say "built in $((SECONDS - started)) s"
fi
echo "$binary"
