#!/bin/bash
# Prints what a test run may leave behind on this machine, one thing a line, sorted: the caller compares a list
# from before with one from after. Processes are found by the variable that .ci/run gives to all its children;
# a daemon may have dropped it, so orphans are found by name too. (Not all by name: whoever works on the
# same machine has processes of that name, but with a parent.)
set -euo pipefail
export LC_ALL=C

processes() {
    local directory pid command parent group
    for directory in /proc/[0-9]*; do
        pid=${directory#/proc/}
        # An ended process has no command line; neither has the kernel's own.
        command=$(tr '\0' ' ' 2>/dev/null <"$directory/cmdline") || continue
        [ -n "$command" ] || continue
        # The second field, the name, may hold blanks: count from the bracket that ends it.
        read -r _ parent group _ < <(sed 's/.*) //' "$directory/stat" 2>/dev/null) || continue
        # This script's own children carry the variable too.
        [ "$group" != "$own_group" ] || continue
        if [[ $parent == 1 && $command == *quotapilot* ]] ||
            grep -qz '^QUOTAPILOT_CI_RUN=' "$directory/environ" 2>/dev/null; then
            echo "process $pid $command"
        fi
    done
}

own_group=$(awk '{print $5}' /proc/self/stat)
{
    find /sys/fs/cgroup -type d -name '*quotapilot*' -printf 'cgroup %p\n' 2>/dev/null || true
    # `ip netns` itself mounts /run/netns on first use and keeps it.
    awk '$5 != "/run/netns" {print "mount " $5}' /proc/self/mountinfo
    find /run/netns -mindepth 1 -printf 'network namespace %p\n' 2>/dev/null || true
    find /sys/class/net -mindepth 1 -printf 'network interface %f\n' 2>/dev/null || true
    processes
} | sort
