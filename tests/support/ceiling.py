#!/usr/bin/env python3
"""ceiling.py MIB COMMAND...: runs COMMAND with at most MIB of memory, and says how much of it was used.

The limit is a memory cgroup's (version 1 or 2), which counts page cache and kernel objects too and kills what does not fit. Its peak
includes cache that would have given way, so the peak that is told and judged is the resident one. Where no cgroup can be made (not
root, a read-only mount), only that is judged, and the line says so. Exit status: COMMAND's; 99 when it did not keep to MIB.
"""
import os, resource, signal, subprocess, sys

V1, V2 = "/sys/fs/cgroup/memory", "/sys/fs/cgroup"


def make_group(limit):
    """(directory, file of processes) of a new group with that limit, or None."""
    name = f"coppice-test-{os.getpid()}"
    for base, limit_file in ((V1, "memory.limit_in_bytes"), (V2, "memory.max")):
        group = os.path.join(base, name)
        try:
            os.mkdir(group)
        except OSError:
            continue
        try:
            with open(os.path.join(group, limit_file), "r+") as f:   # never creates: in a group without the controller it is absent
                f.write(str(limit))
            return group
        except OSError:
            os.rmdir(group)
    return None


def main():
    limit, command = int(sys.argv[1]), sys.argv[2:]
    group = make_group(limit << 20)

    def enter():
        if group:
            with open(os.path.join(group, "cgroup.procs"), "w") as f:
                f.write("0")

    status = subprocess.call(command, preexec_fn=enter)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    where = "cgroup" if group else "no cgroup, resident set"
    if group:
        os.rmdir(group)
    print(f"{peak:7.1f} of {limit} MiB ({where}): {' '.join(os.path.basename(a) for a in command[:3])}", file=sys.stderr, flush=True)
    if status == -signal.SIGKILL or peak >= limit:
        sys.exit(99)
    sys.exit(status if status >= 0 else 128 - status)


main()
