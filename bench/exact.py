"""Exact search: Vecgo, from segments and from the memtable, against faiss and usearch. Prints Markdown.

    python bench/exact.py --vecgo target/release/vecgo --datasets DIR [--sets a,b] [--queries N] [--batch N] [--rounds N]

A data set is a folder in DIR with base.npy, query.npy, gt.npy (row numbers, best first) and manifest.json with
`metric`. NAME:METRIC takes another metric, and works the truth out here. See docs/benchmarks.md."""
import argparse, json, os, sys
import numpy as np
import common as c

K = 10
# A memtable of more rows than 2^18 is flushed whatever its bytes.
MEMTABLE_ROWS = 250_000
SYSTEMS = {"vecgo": "vecgo, segments", "memtable": "vecgo, memtable", "faiss": "faiss IndexFlat", "usearch": "usearch exact"}


def unit(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def exact(base, queries, metric, spare=50):
    """Row numbers of the nearest, found in f32 with some to spare and put in order in f64."""
    if metric == "cosine":
        base, queries = unit(base), unit(queries)
    square = np.einsum("ij,ij->i", base, base)
    truth = np.empty((len(queries), K), np.int32)
    for i, query in enumerate(queries):
        near = base @ query
        near = square - 2 * near if metric == "l2" else -near
        rows = np.argpartition(near, K + spare)[:K + spare]
        wide = base[rows].astype(np.float64)
        near = ((wide - query) ** 2).sum(1) if metric == "l2" else -(wide @ query.astype(np.float64))
        truth[i] = rows[np.argsort(near, kind="stable")[:K]]
    return truth


def prepare(name, metric, args, folder):
    """Writes the files that the rivals read, and the databases, from the set as it is."""
    source = f"{args.datasets}/{name}"
    metric, own = metric or c.metric_of(source), c.metric_of(source)
    base = np.load(f"{source}/base.npy").astype(np.float32)
    queries = np.load(f"{source}/query.npy")[:max(args.queries, args.batch)]
    np.save(f"{folder}/single.npy", queries[:args.queries])
    np.save(f"{folder}/batch.npy", queries[:args.batch])
    queries = queries.astype(np.float32)
    truth = np.load(f"{source}/gt.npy")[:len(queries), :K] if metric == own else exact(base, queries, metric)
    np.save(f"{folder}/truth.npy", truth.astype(np.int32))
    if metric == "cosine":
        base, queries = unit(base), unit(queries)
    np.save(f"{folder}/base.npy", base)
    np.save(f"{folder}/query.npy", queries)
    with open(f"{folder}/metric", "w") as file:
        file.write(metric)
    rows, dim = base.shape
    c.create(args.vecgo, f"{folder}/segments", dim, metric)
    c.run([args.vecgo, "import", f"{folder}/segments", f"{source}/base.npy", "--json"])
    some, path = min(rows, MEMTABLE_ROWS), f"{source}/base.npy"
    np.save(f"{folder}/memtable-truth.npy", truth if some == rows else exact(base[:some], queries, metric))
    if some < rows:
        path = f"{folder}/some.npy"
        np.save(path, np.load(f"{source}/base.npy", mmap_mode="r")[:some])
    c.create(args.vecgo, f"{folder}/memtable", dim, metric)
    c.run([args.vecgo, "import", f"{folder}/memtable", path, "--json", "--no-wait", "--memtable-bytes", min(2 * base.nbytes + (1 << 28), 4 << 30)])
    segments, memtable = (c.run([args.vecgo, "stats", f"{folder}/{name}", "--json"])[0] for name in ("segments", "memtable"))
    if segments["memtable_rows"] != 0 or memtable["memtable_rows"] != some:
        raise SystemExit(f"{name}: rows are not where they should be: {json.dumps([segments, memtable])}")
    return rows, some, dim, metric


def vecgo_once(database, truth, args, folder):
    command = [args.vecgo, "bench", f"{folder}/{database}", "--exact", "--json", "-k", K, "--truth", f"{folder}/{truth}.npy"]
    single = c.run([*command, "--queries", f"{folder}/single.npy"], args.core)[0]
    batch = c.run([*command, "--queries", f"{folder}/batch.npy", "--batch"], args.core)[0]
    (one,), (many,) = single["points"], batch["points"]
    limit = max(single["limits"]["read_bytes_per_s"], batch["limits"]["read_bytes_per_s"])
    return {"single": one["qps"], "batch": many["qps"], "recall": one["recall"], "recall_batch": many["recall"],
            "limit": limit, "simd": single["simd"]}


def rival_once(system, args, folder):
    env = {name: value for name, value in os.environ.items() if name not in c.SLOWING}
    env |= {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    # Vecgo asks for huge pages and so does numpy; a C++ vector gets them only this way.
    env["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rival.py")
    return c.run([sys.executable, script, system, folder, K, args.queries, args.batch], args.core, env)[0]


def measure(name, metric, args):
    turns = {
        "vecgo": lambda folder: vecgo_once("segments", "truth", args, folder),
        "memtable": lambda folder: vecgo_once("memtable", "memtable-truth", args, folder),
        "faiss": lambda folder: rival_once("faiss", args, folder),
        "usearch": lambda folder: rival_once("usearch", args, folder),
    }
    rounds = {system: [] for system in turns}
    with c.workspace(args.work) as folder:
        rows, some, dim, metric = prepare(name, metric, args, folder)
        order = list(turns)
        for number in range(args.rounds):
            for system in order:
                rounds[system].append(turns[system](folder))
                last = rounds[system][-1]
                print(f"{name} {number + 1}/{args.rounds} {system}: {last['single']:.0f} {last['batch']:.0f}", file=sys.stderr)
            order = order[1:] + order[:1]
    return {"set": name, "rows": rows, "memtable_rows": some, "dim": dim, "metric": metric, "queries": args.queries, "batch": args.batch, "rounds": rounds}


def lines(result):
    rounds = result["rounds"]
    limits = [run["limit"] for runs in (rounds["vecgo"], rounds["memtable"]) for run in runs]
    limit = c.median(limits)
    for system, runs in rounds.items():
        rows = result["memtable_rows" if system == "memtable" else "rows"]
        read = c.median([run["single"] for run in runs]) * rows * result["dim"] * 4
        label = SYSTEMS[system] + (f" of {rows:,} rows" if rows < result["rows"] else "")
        recalls = {f"{c.median([run[key] for run in runs]):.4f}" for key in ("recall", "recall_batch")}
        yield [f"{result['set']} ({result['metric']}, {result['rows']:,} x {result['dim']})", label, c.spread([run["single"] for run in runs]),
               c.spread([run["batch"] for run in runs]), f"{read / 1e9:.1f}", f"{100 * read / limit:.0f}% of {limit / 1e9:.1f}",
               " / ".join(sorted(recalls))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vecgo", required=True)
    parser.add_argument("--datasets", required=True)
    parser.add_argument("--sets", default="glove-100,glove-100:dot,sift-128,pkgtext-384,fashion-mnist-784,pkg-nomic-768")
    parser.add_argument("--queries", type=int, default=100, help="queries of a pass of single calls")
    parser.add_argument("--batch", type=int, default=500, help="queries of a batched call")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, default=c.default_core())
    parser.add_argument("--work", help="where to put databases and copies; default: the system's temporary folder")
    parser.add_argument("--raw", help="a file for every round's figures, a JSON line a set")
    args = parser.parse_args()
    args.vecgo = os.path.abspath(args.vecgo)
    start, results = c.machine(), []
    for each in args.sets.split(","):
        name, _, metric = each.partition(":")
        results.append(measure(name, metric, args))
        if args.raw:
            with open(args.raw, "a") as file:
                file.write(json.dumps(results[-1]) + "\n")
    simd = results[0]["rounds"]["vecgo"][0]["simd"]
    print(f"{start} before and {os.getloadavg()[0]:.1f} after; vecgo's kernels: {simd}; {args.queries} single queries, {args.batch} in a batch, {args.rounds} rounds.\n")
    head = ["set", "system", "QPS, single", "QPS, batched", "GB/s, single", "of what a core reads, GB/s", "recall"]
    print(c.table(head, [line for result in results for line in lines(result)]))


if __name__ == "__main__":
    main()
