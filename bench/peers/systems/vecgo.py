"""Vecgo, by its command ($VECGO_BIN, else `vecgo`): create and import, bench for times, search for the answers.

bench measures within the process, so its figures hold no Python. Memory is that of the whole process that serves, program,
queries and truth included."""
import json, os, statistics, subprocess, tempfile, threading, time
import numpy as np
import common as c

METRICS = {"l2": "l2", "cos": "cosine", "ip": "dot"}
SAMPLE = 0.02                        # seconds from one look at the memory to the next


class System:
    CONFIGS = {"default": {}, "sq8": dict(create=["--quantization", "sq8"]), "rabitq4": dict(create=["--quantization", "rabitq:4"]),
               "f32": dict(create=["--quantization", "none"]), "flat": dict(create=["--index", "flat"], exact=True),
               "ivf": dict(create=["--index", "ivf"], knob="nprobe", grid=c.NPROBE), "ivf_sq8": dict(create=["--index", "ivf", "--quantization", "sq8"], knob="nprobe", grid=c.NPROBE),
               "ivf_rabitq4": dict(create=["--index", "ivf", "--quantization", "rabitq:4"], knob="nprobe", grid=c.NPROBE),
               "disk": dict(create=["--index", "disk"]), "binary": dict(create=["--quantization", "binary"]), "rabitq2": dict(create=["--quantization", "rabitq:2"]),
               "pq": dict(one_byte=8), "disk_binary": dict(create=["--index", "disk", "--quantization", "binary"]), "disk_rabitq2": dict(create=["--index", "disk", "--quantization", "rabitq:2"]),
               "disk_pq": dict(create=["--index", "disk"], one_byte=8),
               "disk_rabitq5": dict(create=["--index", "disk", "--quantization", "rabitq:5"]),
               "ivf_binary": dict(create=["--index", "ivf", "--quantization", "binary"], knob="nprobe", grid=c.NPROBE),
               "ivf_pq": dict(create=["--index", "ivf"], one_byte=8, knob="nprobe", grid=c.NPROBE)}


def created_with(settings, dim):
    made = list(settings.get("create", []))
    if one_byte := settings.get("one_byte"):                             # for so many dimensions
        made += ["--quantization", f"pq:{min(255, dim // one_byte)}"]
    return made


def vecgo(*arguments):
    """Runs the command. What it printed, seconds, and samples of its memory."""
    command, samples, done = [os.environ.get("VECGO_BIN", "vecgo"), *map(str, arguments)], [], threading.Event()

    def watch():
        while not done.wait(SAMPLE):
            try:
                samples.append(c.memory(process.pid))
            except (OSError, KeyError):                                  # it has just ended
                return

    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err)
        watcher = threading.Thread(target=watch)
        watcher.start()
        process.wait()
        seconds = time.perf_counter() - start
        done.set(), watcher.join()
        out.seek(0), err.seek(0)
        if process.returncode:
            raise RuntimeError(f"vecgo {arguments[0]}: exit code {process.returncode}: {err.read()[-500:]}")
        return out.read(), seconds, samples


class Program:
    def __init__(self, spec):
        self.spec, self.database = spec, spec["dir"] + "/db"
        self.files = spec["files"] | {"base": f"{spec['out']}/base.npy"}

    def build(self):
        base, _, metric = c.load(self.spec["dataset"], self.spec["n"])
        np.save(self.files["base"], base)
        options = created_with(self.spec["settings"], self.spec["dim"])
        _, create, _ = vecgo("create", self.database, "--dim", self.spec["dim"], "--metric", METRICS[metric], *options)
        _, load, samples = vecgo("import", self.database, self.files["base"])
        os.remove(self.files["base"])
        peak = max((sample["peak"] for sample in samples), default=0)
        return {"build_s": create + load, "build_peak_mb": peak, "saved": True}

    def open(self, threads):
        """The start of the program and one query."""
        _, seconds, _ = vecgo("search", self.database, "--query-file", self.files["first"], "-k", self.spec["k"], "--json")
        return {"open_s": seconds, "first_query_s": 0}

    def search(self, threads, out, round):
        exact = self.spec["settings"].get("exact", False)
        knob, grid = (self.spec["settings"].get(name, usual) for name, usual in (("knob", "ef"), ("grid", c.EF)))
        knobs = ["--exact"] if exact else ["--sweep", f"{knob}=" + ",".join(map(str, grid))]
        command = ["bench", self.database, "--queries", self.files["queries"], "--truth", self.files["truth"], "-k", self.spec["k"], *knobs,
                   "--seconds", self.spec["secs"], "--json"]
        text, _, samples = vecgo(*command, "--batch")
        points = [{"param": point["param"], "queries": self.spec["queries"], f"batch{threads}": self.figures(point)} for point in json.loads(text)["points"]]
        if threads == 1:
            text, _, samples = vecgo(*command, "--threads", 1)
            for i, (place, point) in enumerate(zip(points, json.loads(text)["points"])):
                place["one"] = self.figures(point) | {"p50_ms": point["p50_us"] / 1e3, "p99_ms": point["p99_us"] / 1e3}
                place["one"] |= {name: point[name] for name in ("estimates", "hops")}
                if round == 0:
                    self.answer(place["param"], f"{out}/{i}_one.npy")
        steady = {name: statistics.median(sample[name] for sample in samples) for name in ("rss", "anon", "file")}
        return {"points": points, "serve_mb": steady | {"peak": samples[-1]["peak"]}}

    def figures(self, point):
        return {"qps": point["qps"], "qps_median": point["qps_median"], "passes": point["passes"], "recall": point["recall"]}

    def answer(self, param, file):
        """The answers themselves, so that recall needs not be taken on trust."""
        text, _, _ = vecgo("search", self.database, "--query-file", self.files["queries"], "-k", self.spec["k"], f"--{param}", "--json")
        rows = [[int(hit["id"]) for hit in json.loads(line)["hits"]] for line in text.splitlines()]
        np.save(file, c.to_ids(rows, self.spec["k"]))
