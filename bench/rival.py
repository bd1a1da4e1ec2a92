"""One rival, one set, one round, in a process of its own; exact.py starts it on one core.

usage: rival.py faiss|usearch FOLDER K SINGLE BATCH (numbers of queries) ; prints JSON. FOLDER has base.npy and query.npy in f32 (both of unit
length under cosine, so that an inner product ranks like the cosine), truth.npy, and `metric`."""
import gc, json, sys, time
import numpy as np

MIN_PASSES, MIN_SECONDS = 3, 3.0     # as `vecgo bench`
TIE = 1e-6                           # likewise


class Faiss:
    def __init__(self, base, metric):
        import faiss
        faiss.omp_set_num_threads(1)
        self.settings = faiss.cvar
        # By itself this release takes the matrix multiplication for queries * dim from 128,000 on only.
        self.ways = {"own loops": 1 << 30, "matrix multiplication": 0}
        self.index = (faiss.IndexFlatL2 if metric == "l2" else faiss.IndexFlatIP)(base.shape[1])
        self.index.add(base)

    def choose(self, way):
        self.settings.distance_compute_blas_threshold = self.ways[way]

    def search(self, queries, k):
        return self.index.search(queries, k)[1]


class Usearch:
    ways = {"the only way": None}

    def choose(self, way):
        pass

    def __init__(self, base, metric):
        from usearch.index import MetricKind, search
        self.base, self.call = base, search
        self.metric = MetricKind.L2sq if metric == "l2" else MetricKind.IP

    def search(self, queries, k):
        return self.call(self.base, queries, k, self.metric, exact=True, threads=1).keys


def best_pass(one_pass, count):
    """Queries a second in the best of at least three passes and three seconds, after one to warm up."""
    one_pass()
    gc.collect(), gc.disable()
    seconds, start = [], time.perf_counter()
    while len(seconds) < MIN_PASSES or time.perf_counter() - start < MIN_SECONDS:
        begin = time.perf_counter()
        one_pass()
        seconds.append(time.perf_counter() - begin)
    gc.enable()
    return count / min(seconds)


def recall(base, queries, truth, found, metric):
    """Share of the true neighbours found, by distance in f64, so that equal neighbours count and others do not."""
    def distances(rows, query):
        rows, query = base[rows].astype(np.float64), query.astype(np.float64)
        return ((rows - query) ** 2).sum(1) if metric == "l2" else -(rows @ query)
    share = 0.0
    for query, row, answer in zip(queries, truth, found):
        limit = distances(row, query).max()
        limit += TIE * max(abs(limit), 1.0)
        share += min((distances(np.unique(answer), query) <= limit).sum(), len(row)) / len(row)
    return share / len(found)


def main():
    system, folder, (k, single_count, batch_count) = sys.argv[1], sys.argv[2], map(int, sys.argv[3:])
    base, queries, truth = (np.load(f"{folder}/{name}.npy") for name in ("base", "query", "truth"))
    metric = open(f"{folder}/metric").read()
    rival = {"faiss": Faiss, "usearch": Usearch}[system](base, metric)
    ones = [queries[i:i + 1] for i in range(len(queries[:single_count]))]
    many = queries[:batch_count]

    def single():
        for query in ones:
            rival.search(query, k)

    def batch():
        return rival.search(many, k)

    found = np.vstack([rival.search(query, k) for query in ones]).astype(np.int64)
    result = {"single": best_pass(single, len(ones)), "recall": recall(base, queries, truth[:, :k], found, metric)}
    seconds = {}
    for way in rival.ways:
        rival.choose(way)
        batch()
        start = time.perf_counter()
        batch()
        seconds[way] = time.perf_counter() - start
    way = min(seconds, key=seconds.get)
    rival.choose(way)
    found = np.asarray(batch()).astype(np.int64)
    result |= {"way": way, "batch": best_pass(batch, len(many)), "recall_batch": recall(base, queries, truth[:, :k], found, metric)}
    print(json.dumps(result))


main()
