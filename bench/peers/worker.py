"""Phases of one configuration in a process of its own, which run.py starts.

usage: worker.py SPEC.json ; reads a phase a line from stdin, as JSON, and prints a line of JSON for each."""
import gc, importlib, json, os, sys, time
import numpy as np
import common as c

MIN_PASSES = 3
ENOUGH = 0.998                       # recall beyond which more effort is not measured


def passes(one_pass, queries, seconds):
    """The best and the median of at least three passes and so many seconds. `cpu` is CPU time over wall time: below 1
    the core was shared with something else, above 1 more than one was used."""
    gc.collect(), gc.disable()
    times, cpu, start = [], time.process_time(), time.perf_counter()
    while len(times) < MIN_PASSES or sum(times) < seconds:
        times.append(one_pass())
    cpu = (time.process_time() - cpu) / (time.perf_counter() - start)
    gc.enable()
    return {"qps": queries / min(times), "qps_median": queries / float(np.median(times)), "passes": len(times), "cpu": cpu}


def single(system, queries, k, seconds):
    """One query a call: figures with the latencies of the best pass, and the answers."""
    for query in queries[:200]:
        system.one(query, k)
    latency, answers, best = np.empty(len(queries)), [None] * len(queries), None

    def one_pass():
        nonlocal best
        clock, one = time.perf_counter, system.one
        for i, query in enumerate(queries):
            start = clock()
            answers[i] = one(query, k)
            latency[i] = clock() - start
        if best is None or latency.sum() < best.sum():
            best = latency.copy()
        return latency.sum()

    figures = passes(one_pass, len(queries), seconds)
    p50, p99 = np.percentile(best, (50, 99)) * 1e3
    return figures | {"p50_ms": p50, "p99_ms": p99}, [system.ids(answer) for answer in answers]


def batched(system, queries, k, seconds):
    """All queries in one call."""
    system.batch(queries[:100], k)
    answer = None

    def one_pass():
        nonlocal answer
        seconds, answer = c.timed(system.batch, queries, k)
        return seconds

    return passes(one_pass, len(queries), seconds), system.batch_ids(answer)


def affordable(system, queries, k, seconds):
    """As many of the queries as fit half of the time."""
    for query in queries[:3]:        # what is loaded late is not timed
        system.one(query, k)
    call = min(c.timed(system.one, query, k)[0] for query in queries[3:8])
    return queries[:max(20, int(seconds / 2 / call))]


def search(system, queries, truth, k, seconds, threads, out):
    """A point for each setting: single calls and a batch with one thread, and a batch alone with more."""
    measures = {"one": single} if threads == 1 else {}
    measures |= {f"batch{threads}": batched} if system.batch is not None else {}
    queries, points, system.threads = system.queries(queries), [], threads
    for setting in system.grid if measures else ():
        system.set(setting)
        some = affordable(system, queries, k, seconds)
        point, share = {"param": setting, "queries": len(some)}, 0.0
        for mode, measure in measures.items():
            point[mode], answers = measure(system, some, k, seconds)
            answers = c.to_ids(answers, k)
            np.save(f"{out}/{len(points)}_{mode}.npy", answers)
            share = np.mean([len(np.intersect1d(*pair)) for pair in zip(answers, truth[:, :k])]) / k
        points.append(point)
        if share > ENOUGH:
            break
    return points


class Library:
    """A system of Python, in this process: built here, or opened from what was saved."""

    def __init__(self, module, spec):
        self.module, self.spec, self.system = module, spec, None
        self.queries, self.truth = c.load(spec["dataset"], base=False)[1][:spec["queries"]], np.load(spec["files"]["truth"])
        c.trim()
        self.before = c.memory()

    def make(self, threads):
        names = ("settings", "n", "dim", "metric", "dir")
        self.system = self.module.System(*(self.spec[name] for name in names), threads)

    def grown(self):
        c.trim()
        now = c.memory()
        return {name: now[name] - self.before[name] for name in ("rss", "anon", "file")}

    def build(self):
        base = c.load(self.spec["dataset"], self.spec["n"])[0]
        c.trim(), c.reset_peak()
        self.make(self.spec["build_threads"])
        seconds, _ = c.timed(self.system.build, base)
        peak = c.memory()["peak"] - self.before["rss"] - base.nbytes / c.MB
        result = {"build_s": seconds, "build_peak_mb": peak, "saved": hasattr(self.system, "save")}
        if result["saved"]:
            result["save_s"], _ = c.timed(self.system.save)
            self.system.close()
        return result

    def open(self, threads):
        self.make(threads)
        seconds, _ = c.timed(self.system.open)
        self.system.set(self.system.grid[0])
        first, _ = c.timed(self.system.one, self.system.queries(self.queries[:1])[0], self.spec["k"])
        return {"open_s": seconds, "first_query_s": first}

    def search(self, threads, out, round):
        if self.system is None:
            result = self.open(threads)
        else:                        # it cannot be saved, so it is where it was built
            result = {}
            c.pin(set(self.spec["cores"][-threads:]))
        points = search(self.system, self.queries, self.truth, self.spec["k"], self.spec["secs"], threads, out)
        return result | {"points": points, "serve_mb": self.grown()}


def main():
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)                    # what libraries print goes to the log
    with open(sys.argv[1]) as file:
        spec = json.load(file)
    module = importlib.import_module("systems." + spec["system"])
    worker = module.Program(spec) if hasattr(module, "Program") else Library(module, spec)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(getattr(worker, order.pop("phase"))(**order), default=float), file=replies, flush=True)
    os._exit(0)                      # some libraries hang or crash when they are taken down


main()
