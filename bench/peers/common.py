"""What the comparison with other systems shares: data, exact answers, recall, memory, cores."""
import contextlib, ctypes, gc, json, os, time
import numpy as np

METRICS = {"l2": "l2", "euclidean": "l2", "dot": "ip", "ip": "ip", "cosine": "cos", "angular": "cos"}
TIE = 1e-5                           # of a distance, within which two are equal
MB = 2**20


def load(folder, limit=0, base=True):
    """Base and query vectors in f32, and the metric: l2, ip or cos. Under cos both are scaled to unit length here,
    once for every system, so that l2, ip and cosine rank alike."""
    names = (f"{folder}/manifest.json", f"{folder}/info.json")
    with open(next(name for name in names if os.path.exists(name))) as file:
        metric = METRICS[json.load(file)["metric"]]

    def read(name, count):
        rows = np.load(f"{folder}/{name}.npy", mmap_mode="r")
        rows = np.array(rows[:count or None], dtype=np.float32, order="C")
        if metric == "cos":
            rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return rows
    return (read("base", limit) if base else None), read("query", 0), metric


def exact(base, queries, k, metric, block=4096):
    """Row numbers of the nearest, best first."""
    best = np.full((len(queries), k), np.inf, np.float32)
    rows = np.full((len(queries), k), -1, np.int32)
    for start in range(0, len(base), block):
        part = base[start:start + block]
        scores = queries @ part.T
        scores = np.einsum("ij,ij->i", part, part) - 2 * scores if metric == "l2" else -scores
        numbers = np.broadcast_to(np.arange(start, start + len(part), dtype=np.int32), scores.shape)
        scores, numbers = np.hstack([best, scores]), np.hstack([rows, numbers])
        order = np.argpartition(scores, k - 1, axis=1)[:, :k]
        best, rows = np.take_along_axis(scores, order, 1), np.take_along_axis(numbers, order, 1)
    return np.take_along_axis(rows, np.argsort(best, axis=1, kind="stable"), 1)


def ground_truth(folder, base, queries, metric):
    """The truth of the set, or of as much of it as `base` is."""
    if len(base) == len(np.load(f"{folder}/base.npy", mmap_mode="r")):
        return np.load(f"{folder}/gt.npy")
    return exact(base, queries, min(100, len(base)), metric)


def distances(rows, query, metric):
    rows, query = rows.astype(np.float64), query.astype(np.float64)
    return ((rows - query) ** 2).sum(1) if metric == "l2" else -(rows @ query)


def recall(base, queries, metric, answers, truth, k):
    """Share of the k true neighbours found, by true distance, so that equal ones count and made-up ids do not."""
    found = 0.0
    for query, answer, nearest in zip(queries, answers, truth[:, :k]):
        answer = np.unique(answer[(answer >= 0) & (answer < len(base))])
        limit = distances(base[nearest], query, metric).max()
        limit += TIE * abs(limit) + 1e-7
        found += min((distances(base[answer], query, metric) <= limit).sum(), len(nearest)) / len(nearest)
    return found / len(answers)


def to_ids(rows, k):
    """Rows of ids of any kind and length as one matrix, -1 where there is none."""
    out = np.full((len(rows), k), -1, np.int64)
    for place, row in zip(out, rows):
        row = np.asarray(row, dtype=np.int64).ravel()[:k]
        place[:len(row)] = row
    return out


def memory(pid="self"):
    """Resident MB of a process, and what the most was."""
    with open(f"/proc/{pid}/status") as file:
        lines = dict(line.split(":", 1) for line in file)
    names = {"rss": "VmRSS", "anon": "RssAnon", "file": "RssFile", "peak": "VmHWM"}
    return {name: int(lines[key].split()[0]) / 1024 for name, key in names.items()}


def reset_peak():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def trim():
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)


def pin(cores):
    """Binds every thread of this process, those of libraries too."""
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(int(thread), cores)


def files(folder):
    return [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]


def disk_mb(folder):
    return sum(os.stat(file).st_blocks * 512 for file in files(folder)) / MB


def evict(folder):
    """Drops these files, and no others, from the page cache."""
    for file in files(folder):
        handle = os.open(file, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


class Bound:
    """A control group of processes that have so many MB together, pages of files included. Needs to be root."""

    def __init__(self, mb):
        old = os.path.isdir("/sys/fs/cgroup/memory")
        self.folder = f"/sys/fs/cgroup/{'memory/' if old else ''}vecgo-peers-{os.getpid()}"
        os.mkdir(self.folder)
        self.write("memory.limit_in_bytes" if old else "memory.max", int(mb * MB))

    def write(self, name, value):
        with open(f"{self.folder}/{name}", "w") as file:
            file.write(str(value))

    def enter(self): self.write("cgroup.procs", os.getpid())
    def end(self): os.rmdir(self.folder)


def pad(rows, multiple):
    """Zeros up to the next multiple of dimensions: distances and inner products stay the same."""
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % multiple))) if rows.shape[1] % multiple else rows


def timed(call, *arguments):
    start = time.perf_counter()
    result = call(*arguments)
    return time.perf_counter() - start, result


EF = [10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512, 768, 1024]
NPROBE = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


class Base:
    """What a wrapper offers. Those with save() and open() are searched in a fresh process after open().

    CONFIGS         name -> attributes of the instance (settings of the build)
    grid            settings of the search in order of rising effort; set(p) applies one
    one(q, k)       one query by the library's ordinary call; ids(answer) makes a row of its answer
    batch(Q, k)     batched search, where there is one; batch_ids(answer) makes rows of its answer
    """
    CONFIGS, grid, batch, metrics = {"default": {}}, EF, None, ("l2", "ip", "cos")

    def __init__(self, settings, rows, dim, metric, folder, threads):
        if metric not in self.metrics:
            raise ValueError(f"metric {metric} is not supported")
        self.n, self.dim, self.metric, self.dir, self.threads = rows, dim, metric, folder, threads
        self.__dict__.update(settings)

    def queries(self, Q): return Q             # in the form that the library takes, before anything is timed
    def set(self, p): self.p = p
    def ids(self, answer): return answer
    def batch_ids(self, answer): return answer
    def close(self): pass
