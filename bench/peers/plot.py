"""Recall against speed as SVG, readable on a light and on a dark page."""
import math
from html import escape

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 900, 520, 70, 40, 270, 50
LEAST = 0.8                          # recall at the left edge
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#a08a00", "#0072b2", "#8c6bb1", "#cc79a7", "#7f7f7f", "#a6611a", "#5ab4ac")
OURS = "#e0245e"
STYLE = """text { font: 12px sans-serif; fill: #222 } .grid { stroke: #8884; } .back { fill: #fff }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .back { fill: #161616 } }"""
DASHES = ("", "6 3", "2 3", "8 3 2 3", "12 4", "1 2", "4 1")


def svg(title, curves):
    """`curves`: name -> (recall, QPS) along the curve. Those of one system have one colour."""
    curves = {name: [point for point in curve if point[0] >= LEAST] for name, curve in curves.items()}
    speeds = [qps for curve in curves.values() for _, qps in curve] or [1, 10]
    low, high = math.floor(math.log10(min(speeds))), math.ceil(math.log10(max(speeds) * 1.01))

    def x(recall):
        return LEFT + (recall - LEAST) / (1 - LEAST) * (WIDTH - LEFT - RIGHT)

    def y(qps):
        return HEIGHT - BOTTOM - (math.log10(qps) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    right, bottom, tall = WIDTH - RIGHT, HEIGHT - BOTTOM, max(HEIGHT, TOP + 17 * len(curves) + 20)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {tall}" role="img">', f"<style>{STYLE}</style>",
             f'<rect class="back" width="{WIDTH}" height="{tall}"/>', label(LEFT, 22, title, "start")]
    for step in range(5):
        recall = LEAST + step * (1 - LEAST) / 4
        parts += [line(x(recall), TOP, x(recall), bottom), label(x(recall), bottom + 18, f"{recall:.2f}")]
    for power in range(low, high + 1):
        for times in (1, 2, 5) if power < high else (1,):
            at = y(times * 10**power)
            parts += [line(LEFT, at, right, at), label(LEFT - 6, at + 4, f"{times * 10**power:,.10g}", "end")]
    parts += [label((LEFT + right) / 2, HEIGHT - 12, "recall"), label(LEFT - 6, TOP - 10, "queries a second", "middle")]
    systems = list(dict.fromkeys(name.split(":")[0] for name in curves))
    rivals, seen = [system for system in systems if system != "vecgo"], {}
    for place, (name, curve) in enumerate(curves.items()):
        system = name.split(":")[0]
        colour = OURS if system == "vecgo" else COLOURS[rivals.index(system) % len(COLOURS)]
        dash = DASHES[seen.setdefault(system, 0) % len(DASHES)]
        seen[system] += 1
        look = f'stroke="{colour}" stroke-width="{3 if system == "vecgo" else 1.6}" fill="none" stroke-dasharray="{dash}"'
        points = " ".join(f"{x(recall):.1f},{y(qps):.1f}" for recall, qps in curve)
        parts.append(f'<polyline points="{points}" {look}/>')
        parts += [f'<circle cx="{x(recall):.1f}" cy="{y(qps):.1f}" r="2.2" fill="{colour}"/>' for recall, qps in curve]
        at = TOP + 10 + 17 * place
        parts += [f'<path d="M{right + 16} {at}h30" {look}/>', label(right + 54, at + 4, name, "start")]
    return "\n".join([*parts, "</svg>\n"])


def line(x1, y1, x2, y2):
    return f'<path class="grid" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def label(x, y, text, anchor="middle"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
