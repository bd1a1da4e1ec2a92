"""What the benchmarks share: running the `vecgo` command, figures of several rounds, tables.

Without numpy, so that a script which measures memory stays small itself."""
import contextlib, json, os, platform, shutil, statistics, subprocess, tempfile, time

METRICS = {"l2": "l2", "euclidean": "l2", "cosine": "cosine", "angular": "cosine", "dot": "dot", "ip": "dot"}
# Settings of a shell that would slow a rival's BLAS down.
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def run(command, core=None, env=None):
    """Runs a command to its end, on one core if that is given. Its JSON, seconds and peak memory in bytes."""
    pin = (lambda: os.sched_setaffinity(0, {core})) if core is not None else None
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=err, preexec_fn=pin, env=env)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        text = out.read().decode()
        if process.returncode != 0:
            raise SystemExit(f"{command}: exit code {process.returncode}\n{text}{err.read().decode()}")
    return (json.loads(text) if text.startswith("{") else text), seconds, usage.ru_maxrss * 1024


def serve(vecgo, database, *arguments, env=None):
    """A server of a database, and the address that it listens at."""
    command = [vecgo, "--json", "serve", database, "--listen", "127.0.0.1:0", *arguments]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    return server, json.loads(server.stdout.readline())["listening"]


def create(vecgo, database, dim, metric):
    shutil.rmtree(database, ignore_errors=True)
    run([vecgo, "create", database, "--dim", dim, "--metric", metric, "--index", "flat"])


def metric_of(folder):
    names = (f"{folder}/manifest.json", f"{folder}/info.json")
    with open(next(name for name in names if os.path.exists(name))) as file:
        return METRICS[json.load(file)["metric"]]


def default_core():
    """The last core allowed: interrupts and other programs tend to the first."""
    return max(os.sched_getaffinity(0))


@contextlib.contextmanager
def workspace(under):
    """A folder that is gone afterwards."""
    os.makedirs(under, exist_ok=True) if under else None
    folder = tempfile.mkdtemp(prefix="vecgo-bench-", dir=under)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def machine():
    """A line about this machine."""
    model, flags = platform.machine(), ""
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        for line in file:
            name, _, value = line.partition(":")
            model = value.strip() if name.strip() == "model name" else model
            flags = value if name.strip() == "flags" else flags
    simd = [name for name in ("avx2", "avx512f", "avx512_vnni") if name in flags.split()]
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {' '.join(simd) or 'no AVX'}; load {os.getloadavg()[0]:.1f}"


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def spread(values, scale=1.0):
    """The median of the rounds, and the least and the most."""
    values = [value * scale for value in values]
    return f"{number(statistics.median(values))} ({number(min(values))}-{number(max(values))})"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


median = statistics.median
