#!/usr/bin/env python3
"""Coppice beside restic, borg and tar + zstd: the same data, one run, warm page cache, medians and ratios.

Every figure is a whole process, start-up included. Encryption is on in all that have it. Data: the oldest and the newest
linux-source-6.1 that apt offers, a copy of /usr, generated small files, a random file and a generated log.
"""
import argparse
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import time

PASS = "bench passphrase"


def sh(*argv, **kw):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **kw)


def tree_bytes(path):
    total = 0
    for root, _, files in os.walk(path):
        for name in files:
            total += os.lstat(os.path.join(root, name)).st_size
    return total


def warm(path):
    """Brings a tree into the page cache, so that every tool starts from the same."""
    for root, _, files in os.walk(path):
        for name in files:
            p = os.path.join(root, name)
            if not os.path.islink(p) and os.path.isfile(p):
                with open(p, "rb", buffering=0) as f:
                    while f.read(1 << 20):
                        pass


def timed(argv, env, cwd=None, stdout=subprocess.DEVNULL, shell=False):
    os.sync()
    start = time.monotonic()
    p = subprocess.Popen(argv, env=env, cwd=cwd, stdout=stdout, stderr=subprocess.PIPE, shell=shell)
    errors = p.stderr.read()
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - start
    if p.returncode != 0:
        sys.exit(f"{argv} failed ({p.returncode}):\n{errors.decode(errors='replace')}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak_mib": usage.ru_maxrss / 1024}


class Tool:
    name = ""

    def __init__(self, work, args):
        self.home = os.path.join(work, "home-" + self.name)
        self.repo = os.path.join(work, "repo-" + self.name)
        self.args = args
        os.makedirs(self.home, exist_ok=True)
        self.env = dict(os.environ, HOME=self.home, XDG_CACHE_HOME=self.home + "/cache", XDG_CONFIG_HOME=self.home + "/config", XDG_STATE_HOME=self.home + "/state")

    def fresh(self):
        shutil.rmtree(self.repo, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)
        os.makedirs(self.home)


class Coppice(Tool):
    name = "coppice"

    def fresh(self):
        super().fresh()
        self.env["COPPICE_VAULT"] = self.repo
        with open(self.home + "/pass", "w") as f:
            f.write(PASS + "\n")
        os.chmod(self.home + "/pass", 0o600)
        sh(self.args.coppice, "init", "--passphrase-file", self.home + "/pass", "--recovery-file", self.home + "/sheet", env=self.env)

    def backup(self, src):
        return timed([self.args.coppice, "backup", "-q", src], self.env)

    def restore(self, src, to):
        return timed([self.args.coppice, "restore", "-q", "latest:" + src, "--to", to], self.env)

    def one_file(self, path):
        return timed([self.args.coppice, "cat", "latest:" + path], self.env)

    def check(self):
        return timed([self.args.coppice, "check", "-q", "--read-data"], self.env)

    def version(self):
        return subprocess.run([self.args.coppice, "version"], capture_output=True, text=True).stdout.split("\n")[0]


class Restic(Tool):
    name = "restic"

    def fresh(self):
        super().fresh()
        self.env.update(RESTIC_PASSWORD=PASS, RESTIC_REPOSITORY=self.repo)
        sh("restic", "-q", "init", env=self.env)

    def backup(self, src):
        return timed(["restic", "-q", "backup", src], self.env)

    def restore(self, src, to):
        return timed(["restic", "-q", "restore", "latest", "--target", to], self.env)

    def one_file(self, path):
        return timed(["restic", "-q", "dump", "latest", path], self.env)

    def check(self):
        return timed(["restic", "-q", "check", "--read-data"], self.env)

    def version(self):
        return " ".join(subprocess.run(["restic", "version"], capture_output=True, text=True).stdout.split()[:2])


class Borg(Tool):
    name = "borg"
    count = 0

    def fresh(self):
        super().fresh()
        self.env.update(BORG_PASSPHRASE=PASS, BORG_REPO=self.repo, BORG_RELOCATED_REPO_ACCESS_IS_OK="yes")
        sh("borg", "init", "-e", "repokey-blake2", env=self.env)

    def backup(self, src):
        self.count += 1
        self.last = f"a{self.count}"
        return timed(["borg", "create", "-C", "zstd,3", "::" + self.last, src], self.env)

    def restore(self, src, to):
        return timed(["borg", "extract", "::" + self.last], self.env, cwd=to)

    def one_file(self, path):
        return timed(["borg", "extract", "--stdout", "::" + self.last, path.lstrip("/")], self.env)

    def check(self):
        return timed(["borg", "check", "--verify-data"], self.env)

    def version(self):
        return subprocess.run(["borg", "--version"], capture_output=True, text=True).stdout.strip()


class Tar(Tool):
    """Not encrypted, not deduplicated: what packing the bytes once costs on this machine."""
    name = "tar+zstd"

    def fresh(self):
        super().fresh()
        os.makedirs(self.repo)

    def backup(self, src):
        state = self.repo + "/state"
        out = f"{self.repo}/{len(os.listdir(self.repo))}.tar.zst"
        return timed(f"tar -C / -g '{state}' -c '{src.lstrip('/')}' | zstd -q -T0 -3 -o '{out}'", self.env, shell=True)

    def restore(self, src, to):
        return timed(f"zstd -q -dc '{self.repo}/0.tar.zst' | tar -C '{to}' -xp", self.env, shell=True)

    def check(self):
        return timed(f"zstd -q -t '{self.repo}/0.tar.zst'", self.env, shell=True)

    def version(self):
        return subprocess.run(["tar", "--version"], capture_output=True, text=True).stdout.split("\n")[0]


def linux_sources(data):
    """Trees of the oldest and the newest linux-source-6.1 of apt."""
    old, new = data + "/linux-old", data + "/linux-new"
    if os.path.isdir(old) and os.path.isdir(new):
        return old, new
    madison = subprocess.run(["apt-cache", "madison", "linux-source-6.1"], capture_output=True, text=True, check=True).stdout
    versions = [line.split("|")[1].strip() for line in madison.splitlines() if "|" in line and "Sources" not in line]
    for version, target in ((versions[-1], old), (versions[0], new)):
        if os.path.isdir(target):
            continue
        work = target + ".part"
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
        sh("apt-get", "download", f"linux-source-6.1={version}", cwd=work)
        deb = [f for f in os.listdir(work) if f.endswith(".deb")][0]
        sh("dpkg-deb", "-x", deb, "x", cwd=work)
        sh("tar", "-xf", "x/usr/src/linux-source-6.1.tar.xz", cwd=work)
        os.rename(work + "/linux-source-6.1", target)
        shutil.rmtree(work)
    return old, new


def copy_of_usr(path, bytes_max):
    """/usr, as much of it as stays below bytes_max: its directories, two levels down, the smallest first."""
    if os.path.isdir(path):
        return path
    parts = []
    for top in sorted(os.scandir("/usr"), key=lambda e: e.name):
        inner = sorted(os.scandir(top.path), key=lambda e: e.name) if top.is_dir(follow_symlinks=False) else [top]
        parts += [e.path for e in inner]
    sizes = sorted((tree_bytes(p) if os.path.isdir(p) and not os.path.islink(p) else os.lstat(p).st_size, p) for p in parts)
    part, total = path + ".part", 0
    shutil.rmtree(part, ignore_errors=True)
    for size, source in sizes:
        total += size
        if total > bytes_max:
            break
        target = part + "/" + os.path.dirname(source).removeprefix("/usr").lstrip("/")
        os.makedirs(target, exist_ok=True)
        sh("cp", "-a", source, target)
    os.rename(part, path)
    return path


def small_files(path, count):
    """Text of 1-4 KiB a file, a hundred to a folder; the same every time."""
    if os.path.isdir(path):
        return path
    rng = random.Random(count)
    words = ["".join(rng.choice("etaoinshrdlucmfwypvbgkqjxz") for _ in range(rng.randint(2, 9))) for _ in range(20000)]
    part = path + ".part"
    shutil.rmtree(part, ignore_errors=True)
    blob = " ".join(rng.choices(words, k=4_000_000)).encode()
    for i in range(count):
        if i % 100 == 0:
            folder = f"{part}/{i // 10000:03}/{i // 100:05}"
            os.makedirs(folder)
        at = rng.randrange(len(blob) - 4096)
        with open(f"{folder}/file-{i:07}", "wb", buffering=0) as f:
            f.write(blob[at:at + rng.randint(1024, 4096)])
    os.rename(part, path)
    return path


def large_files(path, megabytes):
    if os.path.isdir(path):
        return path
    part = path + ".part"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(part)
    with open(part + "/random", "wb") as f:
        for _ in range(megabytes):
            f.write(os.urandom(1 << 20))
    rng = random.Random(7)
    pages = [f"/{rng.choice(['shop', 'img', 'api', 'doc'])}/{rng.randrange(5000)}" for _ in range(8000)]
    with open(part + "/access.log", "w") as f:
        written, second = 0, 0
        while written < megabytes << 20:
            lines = []
            for _ in range(2000):
                second += rng.random() < 0.3
                lines.append(f"10.{rng.randrange(20)}.{rng.randrange(256)}.{rng.randrange(256)} - - [22/Nov/2026:{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02} +0000] "
                             f"\"GET {rng.choice(pages)} HTTP/1.1\" {rng.choice([200, 200, 200, 304, 404])} {rng.randrange(90000)} \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"\n")
            text = "".join(lines)
            f.write(text)
            written += len(text)
    os.rename(part, path)
    return path


def upgrade_in_place(new, work):
    """`work` becomes `new`; files that are the same keep their inode and times."""
    sh("rsync", "-rlpgoD", "--checksum", "--delete", new + "/", work + "/")


def copy_over(new, work):
    """`work` becomes `new`; every file is another, with times of now."""
    sh("rsync", "-rlpgoD", "--ignore-times", "--whole-file", "--delete", new + "/", work + "/")


class FreshFileSystem:
    """Where one restore goes: an ext4 of its own in a file (written past the page cache), for on a used one the restore before it costs:
    ext4 is slow to hand out inodes that were deleted a moment ago. Without root, a folder."""

    def __init__(self, folder, data_bytes):
        self.folder, self.image, self.bytes, self.device = folder, folder + ".img", data_bytes * 3 // 2 + (1 << 30), None

    def __enter__(self):
        os.makedirs(self.folder)
        if os.geteuid() == 0:
            with open(self.image, "w") as f:
                f.truncate(self.bytes)
            sh("mkfs.ext4", "-q", "-F", "-i", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", self.image)
            self.device = subprocess.run(["losetup", "-f", "--show", "--direct-io=on", self.image], check=True, capture_output=True, text=True).stdout.strip()
            try:
                sh("mount", self.device, self.folder)
            except BaseException:
                sh("losetup", "-d", self.device)
                raise
        os.makedirs(self.folder + "/out")
        return self.folder + "/out"

    def __exit__(self, *_):
        if self.device:
            sh("umount", self.folder)
            sh("losetup", "-d", self.device)
            os.unlink(self.image)
        shutil.rmtree(self.folder, ignore_errors=True)


class Bench:
    MARK = "coppice-bench-work"

    def __init__(self, args):
        self.args = args
        self.rows = []
        os.makedirs(args.data, exist_ok=True)
        if os.path.isdir(args.work) and os.listdir(args.work):
            if not os.path.exists(f"{args.work}/{self.MARK}"):
                sys.exit(f"{args.work} is not empty and not of an earlier run: name another folder with --work")
            shutil.rmtree(args.work)   # of a run that was stopped
        os.makedirs(args.work, exist_ok=True)
        open(f"{args.work}/{self.MARK}", "w").close()

    def note(self, work, tool, runs, size=None):
        row = {"work": work, "tool": tool.name, "n": len(runs), "wall": statistics.median(r["wall"] for r in runs),
               "wall_min": min(r["wall"] for r in runs), "wall_max": max(r["wall"] for r in runs),
               "cpu": statistics.median(r["cpu"] for r in runs), "peak_mib": max(r["peak_mib"] for r in runs), "bytes": size}
        self.rows.append(row)
        print(f"  {work:34} {tool.name:9} {row['wall']:8.2f} s ({row['wall_min']:.2f}-{row['wall_max']:.2f})  cpu {row['cpu']:6.2f} s  "
              f"peak {row['peak_mib']:5.0f} MiB" + (f"  {size / 1e6:9.1f} MB" if size is not None else ""), flush=True)

    def cycle(self, label, src, tools, parts, restore=True):
        """First backup, unchanged, restore, one file, check; the tools take turns."""
        print(f"{label}: {src}", flush=True)
        n = self.args.runs
        first = {t.name: [] for t in tools}
        for _ in range(n):
            for t in tools:
                t.fresh()
                warm(src)
                first[t.name].append(t.backup(src))
        for t in tools:
            self.note(f"{label}: first backup", t, first[t.name], tree_bytes(t.repo))
        if "unchanged" in parts:
            time.sleep(3)
            for t in tools:
                if t.name == "coppice":
                    t.backup(src)   # files younger than two seconds at the first run are read once more
            runs = {t.name: [] for t in tools}
            for _ in range(max(n, 3)):
                for t in tools:
                    runs[t.name].append(t.backup(src))
            for t in tools:
                self.note(f"{label}: nothing changed", t, runs[t.name])
        if "restore" in parts:
            runs = {t.name: [] for t in tools}
            for _ in range(n):
                for t in tools:
                    with FreshFileSystem(self.args.work + "/restored", tree_bytes(src)) as target:
                        warm(t.repo)
                        os.sync()
                        runs[t.name].append(t.restore(src, target))
            for t in tools:
                self.note(f"{label}: restore", t, runs[t.name])
        if "one" in parts:
            some = sorted(os.path.join(r, f) for r, _, fs in os.walk(src) for f in fs)
            path = some[len(some) * 2 // 3]
            for t in tools:
                if hasattr(t, "one_file"):
                    self.note(f"{label}: one file", t, [t.one_file(path) for _ in range(max(n, 3))])
        if "check" in parts:
            for t in tools:
                warm(t.repo)
                self.note(f"{label}: check, all data", t, [t.check() for _ in range(n)])

    def upgrade(self, label, change, old, new, tools):
        print(label, flush=True)
        runs, added = {t.name: [] for t in tools}, {}
        for _ in range(self.args.runs):
            for t in tools:
                work = self.args.work + "/upgraded"
                shutil.rmtree(work, ignore_errors=True)
                sh("cp", "-a", old, work)
                time.sleep(3)
                t.fresh()
                warm(work)
                t.backup(work)
                before = tree_bytes(t.repo)
                change(new, work)
                time.sleep(3)
                warm(work)
                runs[t.name].append(t.backup(work))
                added[t.name] = tree_bytes(t.repo) - before
        for t in tools:
            self.note(label, t, runs[t.name], added[t.name])
        shutil.rmtree(self.args.work + "/upgraded", ignore_errors=True)

    def report(self, versions):
        works = list(dict.fromkeys(r["work"] for r in self.rows))
        tools = list(dict.fromkeys(r["tool"] for r in self.rows))
        lines = ["| work | " + " | ".join(f"{t} s" for t in tools) + " | times restic's speed | coppice MB | restic MB | size ratio |",
                 "|---" * (len(tools) + 5) + "|"]
        for work in works:
            by = {r["tool"]: r for r in self.rows if r["work"] == work}
            cells = [f"{by[t]['wall']:.2f}" if t in by else "-" for t in tools]
            c, r = by.get("coppice"), by.get("restic")
            ratio = f"**{r['wall'] / c['wall']:.1f}x**" if c and r else "-"
            sizes = [f"{x['bytes'] / 1e6:.1f}" if x and x["bytes"] is not None else "-" for x in (c, r)]
            size_ratio = f"{c['bytes'] / r['bytes']:.2f}" if c and r and c["bytes"] is not None and r["bytes"] else "-"
            lines.append(f"| {work} | " + " | ".join(cells) + f" | {ratio} | {sizes[0]} | {sizes[1]} | {size_ratio} |")
        print("\n" + "; ".join(versions) + f"; {self.args.runs} runs, medians of wall seconds\n" + "\n".join(lines))
        if self.args.json:
            with open(self.args.json, "w") as f:
                json.dump({"versions": versions, "rows": self.rows}, f, indent=1)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--coppice", required=True)
    p.add_argument("--quick", action="store_true", help="five minutes: kernel source and small sets, against restic and tar only")
    p.add_argument("--only", default="", help="run the sets whose name contains this")
    p.add_argument("--runs", type=int, default=0)
    p.add_argument("--data", default=os.path.expanduser("~/.cache/coppice-bench/data"), help="where data sets are made and kept")
    p.add_argument("--work", default=os.path.expanduser("~/.cache/coppice-bench/work"), help="repositories and restores; removed at the end")
    p.add_argument("--json", help="write every figure to this file")
    p.add_argument("--peers", default="restic,borg,tar")
    args = p.parse_args()
    args.coppice = os.path.abspath(args.coppice)
    args.data, args.work = os.path.abspath(args.data), os.path.abspath(args.work)
    args.runs = args.runs or (1 if args.quick else 3)
    bench = Bench(args)
    peers = {"restic": Restic, "borg": Borg, "tar": Tar}
    tools = [Coppice(args.work, args)] + [peers[x](args.work, args) for x in args.peers.split(",") if x and not (args.quick and x == "borg")]
    want = lambda name: args.only in name
    if want("kernel") or want("upgrade"):
        old, new = linux_sources(args.data)
    if want("kernel"):
        bench.cycle("kernel", old, tools, {"unchanged", "restore", "one", "check"})
    if want("upgrade") and shutil.which("rsync"):
        bench.upgrade("kernel: newest over oldest", upgrade_in_place, old, new, tools)
        if not args.quick:
            bench.upgrade("kernel: newest over oldest, every file copied anew", copy_over, old, new, tools)
    if want("usr") and not args.quick:
        bench.cycle("usr", copy_of_usr(args.data + "/usr", 5_000_000_000), tools, {"unchanged", "restore"})
    if want("large"):
        size = 256 if args.quick else 1024
        bench.cycle(f"large files, 2 x {size} MiB", large_files(f"{args.data}/large{size}", size), tools, {"restore"} if not args.quick else set())
    if want("small"):
        count = 50_000 if args.quick else 300_000
        bench.cycle(f"{count:,} small files", small_files(f"{args.data}/small{count}", count), tools, {"unchanged", "restore", "one"} if not args.quick else {"unchanged"})
    if want("million") and not args.quick:
        bench.cycle("a million small files", small_files(args.data + "/million", 1_000_000), [t for t in tools if t.name in ("coppice", "restic")], {"unchanged", "one"})
    bench.report([t.version() for t in tools])
    shutil.rmtree(args.work, ignore_errors=True)


if __name__ == "__main__":
    main()
