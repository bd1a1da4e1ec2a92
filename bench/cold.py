"""The first search of those who have nothing of a bucket in memory, when each request to it takes a while: Vecgo, and LanceDB
on the same server by turns.

usage: cold.py --vecgo PROGRAM --bucket PROGRAM --set FOLDER [--delay MS] [--searches N] [--rows N] [--beside N] [--alone]

PROGRAM of --bucket is `vecgo-stores` (cargo build --release -p vecgo-stores), a server on loopback that holds its bucket in memory
and answers as late as it is told to. The folder has base.npy, query.npy and manifest.json; what is nearest of the first N
rows is found by all of them. LanceDB is that of peers/requirements.txt. A search is a process of its own, from the opening of the database to the hits. Last Vecgo alone, with what a writer leaves that is killed beside the rest: four segments
of so many rows (--beside) without an index, and 7.5 MB of log in 8 objects."""
import argparse, json, os, pathlib, re, shutil, statistics, subprocess, sys, tempfile, time, urllib.request

import numpy as np

import common

K = 10
# What a writer that was killed leaves beside the rest.
SEGMENTS, LOGS, LOG_BYTES = 4, 8, 7_500_000
LANCE = """
import json, sys, time
import lancedb
uri, options, metric, query = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
begun = time.perf_counter()
table = lancedb.connect(uri, storage_options=options).open_table("t")
opened = time.perf_counter()
hits = table.search(query).distance_type(metric).limit(10).refine_factor(10).select(["id"]).to_arrow()["id"].to_pylist()
print(json.dumps({"ids": hits, "open": opened - begun, "search": time.perf_counter() - opened}))
"""


class Bucket:
    def __init__(self, program):
        self.process = subprocess.Popen([program, "0", "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.endpoint = self.process.stdout.readline().strip()
        self.options = {
            "aws_endpoint": self.endpoint, "aws_allow_http": "true", "aws_access_key_id": "key",
            "aws_secret_access_key": "secret", "aws_region": "us-east-1",
        }
        self.environment = {**os.environ, **{name.upper(): value for name, value in self.options.items()}}

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def asked(self):
        """Requests since it was asked last, and the bytes of ranges."""
        told = self.say("asked")
        return sum(map(int, re.findall(r'": (\d+)', told))), int(re.search(r"(\d+) bytes", told)[1])


def made(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command[:4]}: {done.stderr}"
    return done.stdout


class Vecgo:
    name = "Vecgo"

    def __init__(self, program, bucket, metric, base):
        self.program, self.bucket, self.more = program, bucket, []
        with tempfile.TemporaryDirectory() as place:
            np.save(f"{place}/base.npy", base)
            self.run("create", "--dim", base.shape[1], "--metric", metric)
            self.run("import", f"{place}/base.npy")
            self.run("compact")

    def run(self, verb, *arguments):
        return made(self.program, "--json", verb, "s3://test/vecgo", *arguments, *self.more, env=self.bucket.environment)

    def search(self, query):
        begun = time.perf_counter()
        found = json.loads(self.run("search", "--vector", json.dumps(query), "-k", K))
        took = time.perf_counter() - begun
        requests = self.bucket.asked()
        # Another process, which says how much of that is the search.
        search = json.loads(self.run("explain", "--vector", json.dumps(query), "-k", K))["search_us"] / 1e6
        return [int(hit["id"]) for hit in found["hits"]], took, search, requests


    def leave(self, rows, first, beside):
        """Four segments without an index, and the rest of the rows in a log of eight objects."""
        with tempfile.TemporaryDirectory() as place:
            for some in np.split(rows[:SEGMENTS * beside], SEGMENTS):
                np.save(f"{place}/more.npy", some)
                self.run("import", f"{place}/more.npy", "--first-id", first, "--no-wait")
                first += beside
        server, address = common.serve(self.program, "s3://test/vecgo", "--insecure", env=self.bucket.environment)

        def post(verb, body):
            request = urllib.request.Request(f"http://{address}/v1/collections/default/{verb}", body.encode(),
                                             {"content-type": "application/json"}, method="POST")
            return urllib.request.urlopen(request).read()

        for some in np.array_split(rows[SEGMENTS * beside:], LOGS):
            post("upsert", json.dumps({"records": [{"id": first + n, "vector": row.tolist()} for n, row in enumerate(some)]}))
            first += len(some)
        # The next version names the log, so that others see it.
        post("commit", "")
        server.kill()
        server.wait()


class Lance:
    """With an index of its own defaults, and ten times as many rows scored by their vectors as are returned."""

    def __init__(self, bucket, metric, base, index):
        import lancedb
        import pyarrow

        self.bucket, self.metric, self.place = bucket, metric, f"s3://test/lance-{index.lower()}"
        self.name = f"LanceDB {index}"
        vectors = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(base.reshape(-1)), base.shape[1])
        rows = pyarrow.table({"id": pyarrow.array(range(len(base))), "vector": vectors})
        table = lancedb.connect(self.place, storage_options=bucket.options).create_table("t", rows)
        table.create_index(metric=metric, index_type=index)

    def search(self, query):
        told = json.loads(made(sys.executable, "-c", LANCE, self.place, json.dumps(self.bucket.options),
                               self.metric, json.dumps(query)))
        return told["ids"], told["open"] + told["search"], told["search"], self.bucket.asked()


def nearest(base, queries, metric):
    rows = base.astype("f4")
    if metric == "cosine":
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    scores = queries @ rows.T
    if metric == "l2":
        scores = 2 * scores - (rows ** 2).sum(axis=1)
    return np.argsort(-scores, axis=1)[:, :K]


def measure(systems, queries, truth, bucket):
    found = {system.name: [] for system in systems}
    for query, true in zip(queries.tolist(), truth):
        for system in systems:
            bucket.asked()
            ids, took, searched, (requests, received) = system.search(query)
            found[system.name].append((len(set(ids) & set(true.tolist())) / K, took, searched, requests, received))
    return found


def tell(name, measured):
    recall, took, searched, requests, received = zip(*measured)
    millis = [f"{statistics.median(times) * 1e3:.0f} ms ({min(times) * 1e3:.0f}, {max(times) * 1e3:.0f})"
              for times in (took, searched)]
    print(f"{name:<20} recall {statistics.mean(recall):.3f}  open and search {millis[0]}  search {millis[1]}  "
          f"{statistics.median(requests):.0f} requests, {statistics.median(received) / 1e6:.1f} MB", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vecgo", required=True)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--set", required=True, type=pathlib.Path)
    parser.add_argument("--delay", type=int, default=30)
    parser.add_argument("--searches", type=int, default=20)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--beside", type=int, default=0)
    parser.add_argument("--alone", action="store_true", help="without LanceDB")
    given = parser.parse_args()
    metric = json.loads((given.set / "manifest.json").read_text())["metric"]
    base = np.load(given.set / "base.npy", mmap_mode="r")[:given.rows].astype("<f4")
    queries = np.load(given.set / "query.npy").astype("<f4")[:given.searches]
    late = SEGMENTS * given.beside + LOG_BYTES // (4 * base.shape[1]) if given.beside else 0
    base, late = np.split(base, [len(base) - late])
    truth = nearest(base, queries, metric)
    bucket = Bucket(given.bucket)
    systems = [Vecgo(given.vecgo, bucket, metric, base)]
    if not given.alone:
        systems += [Lance(bucket, metric, base, index) for index in ("IVF_PQ", "IVF_HNSW_SQ")]
    bucket.say(f"delay {given.delay}")
    found = measure(systems, queries, truth, bucket)
    print(f"{given.set.name}, {len(base)} x {base.shape[1]}, {given.delay} ms a request")
    for name, measured in found.items():
        tell(name, measured)
    vecgo = systems[0]
    if len(late):
        bucket.say("delay 0")
        vecgo.leave(late, len(base), given.beside)
        truth = nearest(np.concatenate([base, late]), queries, metric)
        bucket.say(f"delay {given.delay}")
        stats = json.loads(vecgo.run("stats"))
        measured = measure([vecgo], queries, truth, bucket)[vecgo.name]
        tell(f"Vecgo, {len(stats['segments'])} segments, {stats['memtable_rows']} rows in the log", measured)
    # The same again, by those who have a disk that remembers.
    place = tempfile.mkdtemp()
    vecgo.more = ["--cache-dir", place, "--cache-size", "8GiB"]
    again = [vecgo.search(queries[0].tolist())[2] * 1e3 for _ in range(9)][1:]
    print(f"Vecgo, with what the process before it left on a disk: search {statistics.median(again):.0f} ms")
    shutil.rmtree(place)
    bucket.process.kill()


if __name__ == "__main__":
    main()
