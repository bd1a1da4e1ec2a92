"""What docs/choosing-an-index.md shows: memory against speed of Vecgo's own indexes and codes, of what run.py measured.

    VECGO_BIN=target/release/vecgo python bench/peers/choice.py FILE.json... --out DIR

Prints a table for each file and writes DIR/choice-SET.svg. See bench/README.md."""
import argparse, json, math, os, subprocess
import plot
import report
from systems.vecgo import METRICS, created_with

RECALL = 0.95
LOOKS = {"graph": "#e0245e", "disk": "#0072b2", "ivf": "#009e73", "flat": "#7f7f7f"}


def sized(run, settings):
    """What the engine reckons with: bytes a record that searches need, and that are held beside if there is room."""
    command = [os.environ.get("VECGO_BIN", "vecgo"), "sizing", "--rows", run["n"], "--dim", run["dim"], "--metric", METRICS[run["metric"]], "--no-time", "--json"]
    text = subprocess.run([str(word) for word in command + created_with(settings, run["dim"])], check=True, capture_output=True, text=True).stdout
    told = json.loads(text)
    return told["index"], told["quantization"], told["searched"] / run["n"], told["vectors"] / run["n"]


def rows(run):
    for result in run["results"]:
        if result["system"] != "vecgo" or "error" in result or not result["rounds"]:
            continue
        index, codes, needed, beside = sized(run, result["settings"])
        points = result["rounds"][0]["search1"]["points"]
        speed = [report.at_recall(points, recall, "one") for recall in (0.95, 0.99)]
        if index == "flat":                                              # all of it is exact
            speed = [max(point["one"]["qps"] for point in points)] * 2
        yield index, codes, needed, beside, speed, result["build_s"]


def table(run, found):
    shown = lambda qps: "–" if qps is None else report.number(qps, "qps")
    lines = [(index, codes, f"{needed:,.0f}", f"{beside:,.0f}" if beside else "–", *map(shown, speed), report.number(build, "s")) for index, codes, needed, beside, speed, build in found]
    head = ["index", "quantization", "bytes a record that searches need", "held beside if there is room", "searches/s at 0.95", "at 0.99", "import s"]
    return f"**{report.title(run)}**\n\n" + report.table(head, lines)


def svg(run, found):
    """A point for each: bytes a record to the right, speed upwards, both by powers of ten."""
    points = [(index, codes, needed, speed[0]) for index, codes, needed, _, speed, _ in found if speed[0]]
    width, height, left, top, right, bottom = 900, 520, 80, 40, 30, 50
    spans = [(min(values) / 1.3, max(values) * 1.3) for values in zip(*((needed, qps) for *_, needed, qps in points))]

    def at(value, span, low, high):
        return low + (math.log(value) - math.log(span[0])) / (math.log(span[1]) - math.log(span[0])) * (high - low)

    x = lambda needed: at(needed, spans[0], left, width - right)
    y = lambda qps: at(qps, spans[1], height - bottom, top)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">', f"<style>{plot.STYLE}</style>",
             f'<rect class="back" width="{width}" height="{height}"/>', plot.label(left, 22, f"{report.title(run)}: searches a second at recall {RECALL}, by memory", "start")]
    ticks = [times * 10**power for power in range(0, 7) for times in (1, 2, 5)]
    for tick in ticks:
        if spans[0][0] <= tick <= spans[0][1]:
            parts += [plot.line(x(tick), top, x(tick), height - bottom), plot.label(x(tick), height - bottom + 18, f"{tick:,}")]
        if spans[1][0] <= tick <= spans[1][1]:
            parts += [plot.line(left, y(tick), width - right, y(tick)), plot.label(left - 6, y(tick) + 4, f"{tick:,}", "end")]
    parts.append(plot.label((left + width - right) / 2, height - 12, "bytes a record that searches need in memory"))
    for index, codes, needed, qps in points:
        parts += [f'<circle cx="{x(needed):.1f}" cy="{y(qps):.1f}" r="5" fill="{LOOKS[index]}"/>', plot.label(x(needed) + 9, y(qps) + 4, f"{index} {codes}", "start")]
    return "\n".join([*parts, "</svg>\n"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    for file in args.files:
        with open(file) as text:
            run = json.load(text)
        found = list(rows(run))
        print(table(run, found))
        with open(f"{args.out}/choice-{run['set']}.svg", "w") as out:
            out.write(svg(run, found))


if __name__ == "__main__":
    main()
