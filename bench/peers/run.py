"""Vecgo and other systems on one data set: build, recall against speed, memory, disk, open time.

    python bench/peers/run.py --dataset DIR --out FILE.json [--systems hnswlib,faiss:hnsw32] [--limit N] [--rounds N]
    python bench/peers/run.py --list

A system is a file in systems/: NAME runs all its configurations, NAME:CONFIG one; `usual` the good ones of each, `all`
everything. Each is built once; then all are searched in turn, --rounds times. See bench/README.md."""
import argparse, json, os, select, shutil, signal, subprocess, sys, tempfile, time
import numpy as np
import common as c

HERE = os.path.dirname(os.path.abspath(__file__))
USUAL = """vecgo:default faiss:flat faiss:hnsw32 faiss:hnsw32_sq8_refine faiss:hnsw32_rabitq4_refine hnswlib:m16 hnswlib:m32 usearch:f32 usearch:bf16
usearch:i8 glass:r32_sq8u_fp16 glass:r48_sq4u_fp16 vsag:sq8u_fp32 ngt:onng zvec:int8_m32 zvec:int8_m32_ids zvec:vamana_u4_ids zvec:vamana_u8_ids
qdrant:int8_m16 qdrant:int8_m32 lancedb:hnsw_sq lancedb:ivf_rq"""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")


class Worker:
    """A process that does phases of one configuration on some cores."""

    def __init__(self, spec, name, cores, bound=None):
        def begin():
            os.sched_setaffinity(0, cores)
            bound and bound.enter()

        self.log = f"{spec['out']}/{name}.log"
        env = os.environ | {"PYTHONPATH": HERE, "PYTHONWARNINGS": "ignore", "TQDM_DISABLE": "1", **dict.fromkeys(THREADS, str(len(cores)))}
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([sys.executable, f"{HERE}/worker.py", f"{spec['out']}/spec.json"], cwd=spec["out"], env=env, stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=log, start_new_session=True, preexec_fn=begin)

    def do(self, phase, timeout, **more):
        self.process.stdin.write(json.dumps({"phase": phase, **more}).encode() + b"\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        line = self.process.stdout.readline() if ready else b""
        if line:
            return json.loads(line)
        why = f"exit code {self.process.wait()}" if ready else f"no answer in {timeout:.0f} s"
        with open(self.log, errors="replace") as log:
            raise RuntimeError(f"{phase}: {why}: {log.read()[-1500:]}")

    def end(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Contestant:
    """One configuration: built once, searched in each round."""

    def __init__(self, system, config, settings, args, data):
        self.args, self.data, self.worker = args, data, None
        self.result = {"system": system, "config": config, "settings": settings, "rounds": []}
        out = f"{args.indexes or args.work}/{data['set']}-{len(data['base'])}-{system}-{config}"
        os.makedirs(f"{out}/index", exist_ok=True)
        self.spec = {"system": system, "settings": settings, "dataset": os.path.abspath(args.dataset), "n": len(data["base"]), "dim": data["base"].shape[1],
                     "metric": data["metric"], "queries": len(data["queries"]), "files": data["files"], "dir": f"{out}/index", "out": out,
                     "build_threads": args.build_threads, "cores": args.cores, "k": args.k, "secs": args.secs}
        with open(f"{out}/spec.json", "w") as file:
            json.dump(self.spec, file)

    def once(self, phase, cores, bound=None, **more):
        """A phase in a process of its own."""
        worker = Worker(self.spec, phase, cores, bound)
        try:
            return worker.do(phase, self.args.timeout, **more)
        finally:
            worker.end()

    def build(self):
        built = f"{self.spec['out']}/built.json"
        if os.path.exists(built):
            with open(built) as file:
                self.result |= json.load(file)
            return
        shutil.rmtree(self.spec["dir"])
        os.mkdir(self.spec["dir"])
        worker = Worker(self.spec, "build", self.args.cores[-self.args.build_threads:])
        try:
            self.result |= worker.do("build", self.args.timeout)
            self.worker = None if self.result["saved"] else worker
        finally:
            worker.end() if self.worker is None else None
        if self.result["saved"]:
            self.result["disk_mb"] = c.disk_mb(self.spec["dir"])
            with open(built, "w") as file:
                json.dump({name: self.result[name] for name in ("build_s", "build_peak_mb", "saved", "save_s", "disk_mb") if name in self.result}, file)

    def turn(self, number):
        """One round."""
        turn = {"limits": limits(self.args), "load": os.getloadavg()[0]}
        if self.result["saved"]:
            core = self.args.cores[-1:]
            if self.args.cold:
                c.evict(self.spec["dir"])
                turn["cold"] = self.once("open", core, threads=1)
            turn["open"] = self.once("open", core, threads=1)
        for threads in self.args.threads:
            more = {"threads": threads, "out": self.spec["out"], "round": number}
            bound = c.Bound(self.args.memory) if self.args.memory else None
            if bound:
                c.evict(self.spec["dir"])
            try:
                search = self.worker.do("search", self.args.timeout, **more) if self.worker else self.once("search", self.args.cores[-threads:], bound, **more)
            finally:
                bound and bound.end()
            for i, point in enumerate(search["points"]):
                self.judge(i, point)
            turn[f"search{threads}"] = search
        self.result["rounds"].append(turn)

    def judge(self, i, point):
        """Recall by the answers where there are any, else by what Vecgo says."""
        for mode in set(point) & {"one", *(f"batch{threads}" for threads in self.args.threads)}:
            file = f"{self.spec['out']}/{i}_{mode}.npy"
            if os.path.exists(file):
                told = point[mode].get("recall")
                point[mode]["recall"] = c.recall(self.data["base"], self.data["queries"], self.data["metric"], np.load(file), self.data["truth"], self.args.k)
                point[mode] |= {} if told is None else {"recall_told": told}
                os.remove(file)

    def end(self):
        self.worker.end() if self.worker else None
        self.worker = None
        if not self.args.indexes:
            shutil.rmtree(self.spec["out"], ignore_errors=True)

    def attempt(self, step, *arguments):
        """Does a step; a failure is a result too, and the last one."""
        name = f"{self.result['system']}:{self.result['config']}"
        if "error" in self.result:
            return
        print(time.strftime("%T"), step.__name__, *(str(argument + 1) for argument in arguments), name, file=sys.stderr, flush=True)
        try:
            step(*arguments)
        except Exception as error:
            self.result["error"] = str(error).strip()
            print("   ", self.result["error"][-300:], file=sys.stderr)
            self.end()


def limits(args):
    """What a core of this machine does at most, now."""
    if args.limits is None:
        return None
    text = subprocess.run([args.limits, "--json"], check=True, capture_output=True, preexec_fn=lambda: os.sched_setaffinity(0, args.cores[-1:])).stdout
    return json.loads(text)


def configs(names):
    """System, configuration and settings of each name; every system is imported in a process of its own."""
    for name in names:
        system, _, config = name.partition(":")
        code = f"import json, systems.{system} as m; print('\\n' + json.dumps(m.System.CONFIGS))"
        found = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=HERE, capture_output=True, text=True)
        if found.returncode:
            print(f"{name} is left out: {found.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            continue
        known = json.loads(found.stdout.splitlines()[-1])
        yield from ((system, each, settings) for each, settings in known.items() if config in ("", each))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset")
    parser.add_argument("--out")
    parser.add_argument("--systems", default="usual")
    parser.add_argument("--limit", type=int, default=0, help="use the first N base vectors only; the truth is worked out anew")
    parser.add_argument("--queries", type=int, help="use the first N queries only")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", default="1,2", help="threads of batched searches; single calls go with 1")
    parser.add_argument("--build-threads", type=int, default=2)
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--secs", type=float, default=3, help="least seconds of each measurement")
    parser.add_argument("--timeout", type=float, default=4 * 3600, help="most seconds of a phase")
    parser.add_argument("--cold", action="store_true", help="also open with the files out of the page cache")
    parser.add_argument("--memory", type=float, help="MB that whoever searches has, pages of files included, from files that are in no page cache (as root)")
    parser.add_argument("--limits", help="the built example `bandwidth` of vecgo-kernels")
    parser.add_argument("--work", help="where to put indexes; default: the system's temporary folder")
    parser.add_argument("--indexes", help="a folder in which indexes are kept, for other runs with the same rows, which do not build them again")
    parser.add_argument("--list", action="store_true", help="print all systems and configurations")
    args = parser.parse_args()
    if not args.list and not (args.dataset and args.out):
        parser.error("--dataset and --out must be given")
    args.threads, args.cores = [int(number) for number in args.threads.split(",")], sorted(os.sched_getaffinity(0))
    for name in ("limits", "work", "indexes"):
        setattr(args, name, getattr(args, name) and os.path.abspath(getattr(args, name)))
    return args


def main():
    args = arguments()
    every = sorted(name[:-3] for name in os.listdir(f"{HERE}/systems") if name.endswith(".py"))
    names = every if args.list or args.systems == "all" else USUAL.split() if args.systems == "usual" else args.systems.split(",")
    chosen = list(configs(names))
    if args.list:
        return print("\n".join(f"{system}:{config} {settings}" for system, config, settings in chosen))
    with tempfile.TemporaryDirectory(prefix="vecgo-peers-", dir=args.work) as args.work:
        base, queries, metric = c.load(args.dataset, args.limit)
        truth = c.ground_truth(args.dataset, base, queries, metric)
        queries, truth = queries[:args.queries], truth[:args.queries]
        files = {name: f"{args.work}/{name}.npy" for name in ("queries", "first", "truth")}
        for name, rows in (("queries", queries), ("first", queries[:1]), ("truth", truth)):
            np.save(files[name], rows)
        name = os.path.basename(os.path.normpath(args.dataset))
        data = {"set": name, "base": base, "queries": queries, "metric": metric, "truth": truth, "files": files}
        contestants = [Contestant(*each, args, data) for each in chosen]
        run = {"set": name, "n": len(base), "dim": base.shape[1], "metric": metric, "k": args.k, "queries": len(queries),
               "secs": args.secs, "threads": args.threads, "build_threads": args.build_threads, "date": time.strftime("%F %T"),
               "results": [contestant.result for contestant in contestants]}

        def write():
            with open(args.out, "w") as file:
                json.dump(run, file, indent=1)

        for contestant in contestants:
            contestant.attempt(contestant.build)
            write()
        for number in range(args.rounds):
            for contestant in contestants[number:] + contestants[:number]:
                contestant.attempt(contestant.turn, number)
                write()
        for contestant in contestants:
            contestant.end()


if __name__ == "__main__":
    main()
