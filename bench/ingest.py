"""Ingest: rows a second and peak memory of `vecgo import`. Prints Markdown.

    python bench/ingest.py --vecgo target/release/vecgo --datasets DIR [--rounds N] [--parts sync,memory] [--big-mb N]

Needs glove-100 and sift-128 in DIR, and about four times --big-mb of disk. See docs/benchmarks.md."""
import argparse, os, shutil, subprocess, sys
import common as c

SYNCS = {"commit": "commit", "100": "interval, 100 ms", "every": "every write"}
MEMTABLES = [8, 32, 128]             # MiB
BIG_DIM = 768


def make_shuffled(source, folder):
    import numpy as np
    base = np.load(f"{source}/base.npy")
    order = np.random.default_rng(1).permutation(len(base))
    np.save(f"{folder}/shuffled.npy", base[order])
    with open(f"{folder}/shuffled.jsonl", "w") as file:
        file.writelines(f'{{"id": {row}}}\n' for row in order)


def make_big(megabytes, path):
    import numpy as np
    rows = int(megabytes) * 1_000_000 // (BIG_DIM * 4)
    random = np.random.default_rng(2)
    big = np.lib.format.open_memmap(path, "w+", np.float32, (rows, BIG_DIM))
    for start in range(0, rows, 4096):
        big[start:start + 4096] = random.standard_normal((min(4096, rows - start), BIG_DIM), np.float32)


def make(what, *arguments):
    """In another process: the peak memory of a program that is started counts what its starter held."""
    subprocess.run([sys.executable, os.path.abspath(__file__), "--make", what, *map(str, arguments)], check=True)


def imported(args, database, file, *options):
    answer, seconds, peak = c.run([args.vecgo, "import", database, file, "--json", *options])
    os.sync()                        # what this import left to be written is not the next one's to wait for
    return {"rows": answer["rows"] / seconds, "peak": peak, "count": answer["rows"]}


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def sync_part(args, folder):
    source = f"{args.datasets}/glove-100"
    make("shuffled", source, folder)
    base, again = f"{source}/base.npy", [f"{folder}/shuffled.npy", "--metadata", f"{folder}/shuffled.jsonl"]
    runs = {(kind, sync): [] for kind in ("new", "new, ids from a side file", "the same ids again, shuffled") for sync in SYNCS}
    order = list(SYNCS)
    for number in range(args.rounds):
        for sync in order:
            database = f"{folder}/database"
            c.create(args.vecgo, database, 100, "cosine")
            runs["new", sync].append(imported(args, database, base, "--wal-sync", sync))
            runs["the same ids again, shuffled", sync].append(imported(args, database, *again, "--wal-sync", sync))
            stats = c.run([args.vecgo, "stats", database, "--json"])[0]
            assert stats["records"] == runs["new", sync][-1]["count"], stats
            c.create(args.vecgo, database, 100, "cosine")
            runs["new, ids from a side file", sync].append(imported(args, database, *again, "--wal-sync", sync))
            shutil.rmtree(database)
            say("glove-100", f"{number + 1}/{args.rounds}", sync, *(f"{runs[kind, each][-1]['rows']:.0f}" for kind, each in runs if each == sync))
        order = order[1:] + order[:1]
    rows = [[kind, SYNCS[sync], c.spread([run["rows"] for run in each]), c.spread([run["peak"] for run in each], 1e-6)]
            for (kind, sync), each in runs.items()]
    print(c.table(["glove-100, 300,000 x 100", "writes are durable", "rows a second", "peak MB"], rows), "\n")


def memory_part(args, folder):
    big = f"{folder}/big.npy"
    make("big", args.big_mb, big)
    files = {"sift-128, 400,000 x 128 u8": (f"{args.datasets}/sift-128/base.npy", 128, "l2"),
             f"made, {args.big_mb * 1_000_000 // (BIG_DIM * 4):,} x {BIG_DIM} f32": (big, BIG_DIM, "l2")}
    turns = [(name, mib) for name in files for mib in MEMTABLES]
    runs = {turn: [] for turn in turns}
    order = list(turns)
    for number in range(args.rounds):
        for name, mib in order:
            path, dim, metric = files[name]
            database = f"{folder}/database"
            c.create(args.vecgo, database, dim, metric)
            run = imported(args, database, path, "--memtable-bytes", mib << 20)
            stats = c.run([args.vecgo, "stats", database, "--json"])[0]
            assert stats["records"] == run["count"], stats
            run["segments"] = len(stats["segments"])
            run["vectors"] = run["count"] * dim * 4
            runs[name, mib].append(run)
            shutil.rmtree(database)
            say(name, f"{number + 1}/{args.rounds}", mib, f"{run['rows']:.0f} rows/s, {run['peak'] / 1e6:.0f} MB")
        order = order[1:] + order[:1]
    rows = [[name, number_mb(each[0]["vectors"]), number_mb(mib << 20), c.spread([run["peak"] for run in each], 1e-6),
             f"{c.median([run['peak'] for run in each]) / (mib << 20):.1f}", each[0]["segments"], c.spread([run["rows"] for run in each])]
            for (name, mib), each in runs.items()]
    head = ["file", "vectors, MB in f32", "memtable, MB", "peak MB", "peak / memtable", "segments", "rows a second"]
    print(c.table(head, rows), "\n")


def number_mb(value):
    return f"{value / 1e6:,.0f}"


def main():
    if sys.argv[1:2] == ["--make"]:
        return {"shuffled": make_shuffled, "big": make_big}[sys.argv[2]](*sys.argv[3:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vecgo", required=True)
    parser.add_argument("--datasets", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", default="sync,memory")
    parser.add_argument("--big-mb", type=int, default=1000)
    parser.add_argument("--work", help="where to put databases and made files; default: the system's temporary folder")
    args = parser.parse_args()
    args.vecgo = os.path.abspath(args.vecgo)
    parts = {"sync": sync_part, "memory": memory_part}
    with c.workspace(args.work) as folder:
        idle = c.run([args.vecgo, "--version"])[2]
        print(f"{c.machine()}; {args.rounds} rounds; a vecgo that does nothing peaks at {idle / 1e6:.0f} MB.\n")
        for part in args.parts.split(","):
            parts[part](args, folder)


if __name__ == "__main__":
    main()
