"""Tables, ratios and plots of what run.py measured.

    python bench/peers/report.py FILE.json... --out DIR [--brief]

Writes DIR/report.md, and DIR/SET-one.svg and DIR/SET-batch1.svg for each file. See bench/README.md."""
import argparse, json, math, os
from statistics import geometric_mean, median
import plot

TARGETS = (0.90, 0.95, 0.99)
VECGO = "vecgo"
EXACT = "flat"                       # configurations of this name scan everything, and are no one's rival
DATABASES = ("qdrant", "lancedb")    # a call to one of these is its ordinary, single call
MB = 2**20
BRIEF = ("best @0.95", "best @0.99", "one @0.95", "one @0.99", "p99 ms @0.95", "distances @0.95", "distances @0.99", "of limit @0.95", "of limit @0.99",
         "build s", "build peak MB", "serve MB", "open s", "best recall")
EDGE_LINES = 2                       # 32 edges of 4 bytes


def best_curve(points, mode):
    """(recall, QPS) from high recall down, without points that another beats in both."""
    curve = []
    for recall, qps in sorted(((point[mode]["recall"], point[mode]["qps"]) for point in points if mode in point), reverse=True):
        if not curve or qps > curve[-1][1]:
            curve.append((recall, qps))
    return curve


def at_recall(points, target, mode):
    """QPS at a recall: log-linear between neighbours on the best curve, and never beyond its ends."""
    curve = best_curve(points, mode)
    above = [point for point in curve if point[0] >= target]
    below = [point for point in curve if point[0] < target]
    if not above or not below:
        return above[-1][1] if above else None
    (high, slow), (low, fast) = above[-1], below[0]
    weight = (target - low) / (high - low)
    return math.exp(math.log(fast) * (1 - weight) + math.log(slow) * weight)


def fastest_at(points, target):
    """Single calls with the fastest setting of enough recall."""
    enough = [point["one"] for point in points if "one" in point and point["one"]["recall"] >= target]
    return max(enough, key=lambda one: one["qps"]) if enough else None


def efficiency(one, dim, limits):
    """Vecgo's speed by the bound of a walk that does nothing but what it must: each row estimated and each list of edges followed are
    lines of memory, all known beforehand, or each row is scored within the cache, whichever takes longer."""
    places = -(-dim // 128) * 128                                        # of four bits each
    code_lines = places // 128 + (places - dim < 16)                     # factors lie apart where the row has no room for them
    memory = (one["estimates"] * code_lines + one["hops"] * EDGE_LINES) / limits["lines_per_s"]
    known = sorted((abs(int(width) - dim), ns) for width, ns in limits["nibble_row_ns"].items())
    cpu = one["estimates"] * known[0][1] * 1e-9
    return one["qps"] * max(memory, cpu)


def searches(result, threads):
    return [turn[f"search{threads}"] for turn in result["rounds"] if f"search{threads}" in turn]


class Row:
    """One configuration's figures: for each measure its values, one a round."""

    def __init__(self, result, run):
        self.name, self.exact, self.system = f"{result['system']}:{result['config']}", result["config"] == EXACT, result["system"]
        alone, opens = searches(result, 1), [turn["open"] for turn in result["rounds"] if "open" in turn]
        colds = [turn["cold"] for turn in result["rounds"] if "cold" in turn]
        serve = [search["serve_mb"]["rss"] for search in alone]
        self.values = {"build s": [result["build_s"]], "build peak MB": [result["build_peak_mb"]], "serve MB": serve,
                       "bytes a vector": [mb * MB / run["n"] for mb in serve], "disk MB": [result["disk_mb"]] if "disk_mb" in result else [],
                       "open s": [each["open_s"] + each["first_query_s"] for each in opens],
                       "cold open s": [each["open_s"] + each["first_query_s"] for each in colds]}
        # Of a run with other threads than one it stays empty.
        self.values |= {f"one @{target:.2f}": [] for target in TARGETS}
        for mode, threads in modes(run):
            for target in TARGETS:
                values = [at_recall(search["points"], target, mode) for search in searches(result, threads)]
                self.values[f"{mode} @{target:.2f}"] = [] if None in values else values
        for target in (0.95, 0.99):
            ways = [median(self.values[f"{mode} @{target}"]) for mode in ("one", "batch1") if self.values.get(f"{mode} @{target}")]
            self.values[f"best @{target}"] = [max(ways)] if ways else []
        fastest = [one for search in alone if (one := fastest_at(search["points"], 0.95))]
        self.values |= {f"{name} ms @0.95": [one[f"{name}_ms"] for one in fastest] for name in ("p50", "p99")}
        self.values["best recall"] = [max((point["one"]["recall"] for point in search["points"] if "one" in point), default=0) for search in alone]
        cpu = [[point["one"]["cpu"] for point in search["points"] if "cpu" in point.get("one", {})] for search in alone]
        self.values["cpu"] = [min(each) for each in cpu if each]
        self.values |= {"distances @0.95": [], "distances @0.99": [], "of limit @0.95": [], "of limit @0.99": []}
        for target in (0.95, 0.99):
            for turn in result["rounds"]:
                one = fastest_at(turn["search1"]["points"], target) if "search1" in turn else None
                if one and "estimates" in one and turn["limits"] and result["config"] == "default":
                    self.values[f"distances @{target}"].append(one["estimates"])
                    self.values[f"of limit @{target}"].append(efficiency(one, run["dim"] + (run["metric"] == "ip"), turn["limits"]))
        self.lines = [turn["limits"]["lines_per_s"] for turn in result["rounds"] if turn["limits"]]

    def cell(self, measure):
        values = self.values[measure]
        if not values:
            return "–"
        middle = number(median(values), measure)
        spread = f" ({number(min(values), measure)}–{number(max(values), measure)})" if "@" in measure and len(values) > 1 else ""
        return middle + spread


def number(value, measure):
    if measure == "best recall":
        return f"{value:.4f}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def modes(run):
    """Ways to search, and the threads that each is measured with."""
    return [("one", 1)] * (1 in run["threads"]) + [(f"batch{threads}", threads) for threads in run["threads"]]


def is_qps(measure):
    return measure.startswith(("one", "batch", "best @"))


def rivalry(ours, others, measure):
    """Ours over the best of the others, above 1 where ours is better, and whose that is."""
    mine = ours.values[measure]
    theirs = [(median(row.values[measure]), row.name) for row in others if row.values[measure]]
    if not mine or not theirs or measure in ("best recall", "cpu") or "limit" in measure or "distances" in measure:
        return None
    best, name = max(theirs) if is_qps(measure) else min(theirs)
    return (median(mine) / best if is_qps(measure) else best / median(mine)), best, name


def half_as_fast(row, ours):
    """Whether a system searches at least half as fast as ours at 0.99: what a build leads to counts."""
    theirs, mine = row.values["best @0.99"], ours.values["best @0.99"]
    return bool(theirs and mine) and theirs[0] >= mine[0] / 2


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def limits_line(run):
    """What one core did at most, over all turns of the run."""
    turns = [turn["limits"] for result in run["results"] for turn in result["rounds"] if turn["limits"]]
    if not turns:
        return "No limits were measured.\n"

    def figure(name, scale):
        values = [turn[name] * scale for turn in turns]
        return f"{median(values):.1f} ({min(values):.1f}–{max(values):.1f})"

    rows = ", ".join(f"{name} {'/'.join(turns[0][key])} dimensions {'/'.join(f'{median([turn[key][dim] for turn in turns]):.1f}' for dim in turns[0][key])} ns"
                     for name, key in (("4-bit row of", "nibble_row_ns"), ("8-bit row of", "byte_row_ns")))
    return (f"**Limits** of one core in the same turns, median (least–most): random line of memory, each known only after the last, {figure('line_ns', 1)} ns; "
            f"known beforehand, {figure('lines_per_s', 1e-6)} million a second; in order, {figure('stream_bytes_per_s', 1e-9)} GB/s; in cache, {rows}. "
            f"{turns[0]['cpu']}, {' '.join(turns[0]['flags'])}; Vecgo's kernels: {turns[0]['kernels']}.\n")


def title(run):
    return f"{run['set']} ({run['metric']}, {run['n']:,} x {run['dim']})"


def section(run, ratios, brief):
    """The text on one data set, with a few measures only if `brief`. Adds to `ratios`."""
    failed = [result for result in run["results"] if "error" in result]
    rows = [Row(result, run) for result in run["results"] if "error" not in result and result["rounds"]]
    if not rows:
        return f"## {title(run)}\n\nNothing was measured.\n"
    measures = [measure for measure in (BRIEF if brief else rows[0].values) if any(row.values[measure] for row in rows)]
    usual = median([line for row in rows for line in row.lines] or [1])
    cells = [[row.name, *(row.cell(measure) for measure in measures), f"{100 * median(row.lines) / usual:.0f}%" if row.lines else "–"] for row in rows]
    text = [f"## {title(run)}\n", f"k = {run['k']}, {run['queries']} queries, built with {run['build_threads']} threads, {run['date']}.\n",
            table(["system", *measures, "machine"], cells), limits_line(run)]
    text += [f"- {result['system']}:{result['config']} failed: {result['error'].splitlines()[-1][:200]}" for result in failed]
    text += [""] if failed else []
    others = [row for row in rows if row.system != VECGO and not row.exact]
    databases = [row for row in others if row.system in DATABASES]
    for ours in (row for row in rows if row.system == VECGO and not row.exact):
        found = {measure: rivalry(ours, others, measure) for measure in measures}
        found |= {f"{measure}, databases": rivalry(ours, databases, measure) for measure in ("one @0.95", "one @0.99")}
        found["build s, half as fast"] = rivalry(ours, [row for row in others if half_as_fast(row, ours)], "build s")
        found = {measure: ratio for measure, ratio in found.items() if ratio}
        for measure, (ratio, _, _) in found.items():
            ratios.setdefault(ours.name, {}).setdefault(measure, []).append(ratio)
        lines = [[measure, ours.cell(measure.partition(",")[0]), f"{number(best, measure)} {name}", f"{ratio:.2f}"] for measure, (ratio, best, name) in found.items()]
        text.append(table(["measure", ours.name, "best of the others", "ratio"], lines))
    return "\n".join(text)


def means(ratios, sets):
    """Geometric means over the data sets."""
    if not ratios:
        return ""
    measures = list(dict.fromkeys(measure for each in ratios.values() for measure in each))
    rows = [[measure, *(mean(each.get(measure, []), sets) for each in ratios.values())] for measure in measures]
    return "## All sets\n\nGeometric means of the ratios; in brackets of how many sets, where not of all.\n\n" + table(["measure", *ratios], rows)


def mean(values, sets):
    if not values:
        return "–"
    return f"{geometric_mean(values):.2f}" + (f" ({len(values)})" if len(values) < sets else "")


def curves(run, mode):
    """Each configuration's best curve over medians of the rounds."""
    for result in run["results"]:
        points = {}
        for search in searches(result, 1):
            for point in search["points"]:
                if mode in point:
                    points.setdefault(point["param"], []).append((point[mode]["recall"], point[mode]["qps"]))
        middle = [{mode: {"recall": median([recall for recall, _ in each]), "qps": median([qps for _, qps in each])}} for each in points.values()]
        if middle:
            yield f"{result['system']}:{result['config']}", best_curve(middle, mode)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="FILE.json")
    parser.add_argument("--out", required=True)
    parser.add_argument("--brief", action="store_true", help="the measures that matter most only")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    ratios, text = {}, ["# Vecgo and others\n\nQueries a second at a recall are medians of the rounds (least–most). A ratio above 1 says that Vecgo is better.\n"]
    for path in args.runs:
        with open(path) as file:
            run = json.load(file)
        text.append(section(run, ratios, args.brief))
        for mode, what in (("one", "one query a call"), ("batch1", "batched, one thread")):
            drawn = dict(curves(run, mode))
            if drawn:
                name = f"{os.path.splitext(os.path.basename(path))[0]}-{mode}.svg"
                with open(f"{args.out}/{name}", "w") as file:
                    file.write(plot.svg(f"{title(run)}: {what}", drawn))
                text.append(f"![recall and speed, {what}]({name})\n")
    text.append(means(ratios, len(args.runs)))
    with open(f"{args.out}/report.md", "w") as file:
        file.write("\n".join(text))


if __name__ == "__main__":
    main()
