"""Draws panels as the dashboard lays them out, in the dark dress that people know. It asks nothing; numbers come from its caller."""

import math

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: E402

BACK, CARD, LINES, TEXT, FAINT = "#111217", "#181b1f", "#2c3036", "#d8d9da", "#8e9297"
COLORS = ["#5794F2", "#FF9830", "#B877D9", "#FADE2A", "#F2495C", "#8AB8FF", "#FFB357", "#CA95E5", "#96D98D", "#37872D", "#E02F44", "#3274D9"]
UNIT, WIDE = 0.44, 0.78  # inches of a row and of a column


def number(value, unit):
    if value is None or math.isnan(value):
        return "no data"
    if unit == "percentunit":
        return f"{value * 100:.1f}%"
    if unit == "s":
        for size, word in ((86400, "days"), (3600, "hours"), (60, "min")):
            if value >= size:
                return f"{value / size:.1f} {word}"
        return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.3g} ms"
    if unit == "bytes":
        for size, word in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
            if value >= size:
                return f"{value / size:.1f} {word}"
        return f"{value:.0f} B"
    end = {"reqps": " req/s", "eps": " /s", "cps": " /s", "d": " days"}.get(unit, "")
    return (f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.2f}" if value < 10 else f"{value:.1f}") + end


def color_of(panel, name, index):
    for over in panel["fieldConfig"]["overrides"]:
        if over["matcher"]["options"] == name:
            return over["properties"][0]["value"]["fixedColor"]
    return COLORS[index % len(COLORS)]


def lines(axes, panel, series, start):
    unit = panel["fieldConfig"]["defaults"]["unit"]
    custom = panel["fieldConfig"]["defaults"]["custom"]
    stacked = custom["stacking"]["mode"] == "normal"
    times = sorted({at for _, points in series for at, _ in points})
    base, handles = [0.0] * len(times), []
    for index, (name, points) in enumerate(series):
        color = color_of(panel, name, index)
        if stacked:
            known = dict(points)
            top = [low + (0.0 if math.isnan(known.get(at, math.nan)) else known[at]) for low, at in zip(base, times)]
            xs = [at - start for at in times]
            axes.fill_between(xs, base, top, color=color, alpha=0.62, linewidth=0)
            axes.plot(xs, top, color=color, linewidth=0.9)
            base = top
        else:
            xs, ys = [at - start for at, _ in points], [value for _, value in points]
            axes.plot(xs, ys, color=color, linewidth=1.5)
            axes.fill_between(xs, ys, color=color, alpha=custom["fillOpacity"] / 160, linewidth=0)
        handles.append((plt.Line2D([], [], color=color, linewidth=3), name))
    axes.set_ylim(bottom=0)
    if axes.get_ylim()[1] <= 0.001:
        axes.set_ylim(0, 1)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, unit)))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{int(value) // 60}:{int(value) % 60:02d}"))
    axes.grid(color=LINES, linewidth=0.6)
    axes.tick_params(colors=FAINT, labelsize=7, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return handles


def card(figure, height, grid):
    """The box of a panel, in parts of the figure: left, bottom, width, height."""
    gap = 0.07
    total_w, total_h = figure.get_size_inches()
    left, top = grid["x"] * WIDE + gap + 0.1, height - (grid["y"] * UNIT + gap)
    width, tall = grid["w"] * WIDE - 2 * gap, grid["h"] * UNIT - 2 * gap
    box = (left / total_w, (top - tall) / total_h, width / total_w, tall / total_h)
    return box, width, tall


def draw(panels, path, title, subtitle):
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel, _ in panels)
    height = rows * UNIT + 0.1
    figure = plt.figure(figsize=(24 * WIDE + 0.2, height + 0.6), facecolor=BACK)
    figure.text(0.012, 1 - 0.36 / (height + 0.6), title, color=TEXT, fontsize=17, weight="bold")
    figure.text(0.09, 1 - 0.36 / (height + 0.6), subtitle, color=FAINT, fontsize=10)
    start = min(at for panel, series in panels if panel["type"] == "timeseries" for _, points in series for at, _ in points)
    for panel, series in panels:
        box, width, tall = card(figure, height, panel["gridPos"])
        left, bottom, wide, high = box
        if panel["type"] == "row":
            figure.text(left, bottom + high / 3, f"\u25be  {panel['title']}", color=TEXT, fontsize=11, weight="bold")
            continue
        steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
        value = series[0][1][-1][1] if series else math.nan
        face = CARD
        if panel["type"] == "stat" and not math.isnan(value):
            face = [step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]
        figure.patches.append(plt.Rectangle((left, bottom), wide, high, transform=figure.transFigure, facecolor=face, edgecolor=LINES,
                                            alpha=0.85 if face != CARD else 1, zorder=-1))
        ink = "#ffffff" if face != CARD else TEXT
        figure.text(left + 0.004, bottom + high - 0.2 / (height + 0.6), panel["title"], color=ink, fontsize=8.5, weight="bold", va="center")
        if panel["type"] == "stat":
            defaults = panel["fieldConfig"]["defaults"]
            words = {key: text["text"] for mapping in defaults["mappings"] for key, text in mapping["options"].items()}
            shown = words.get(str(int(value))) if words and not math.isnan(value) else number(value, defaults["unit"])
            figure.text(left + wide / 2, bottom + high * 0.42, shown, color="#ffffff", fontsize=20 if len(shown) < 10 else 13, weight="bold", ha="center", va="center")
            continue
        inch_w, inch_h = 1 / (24 * WIDE + 0.2), 1 / (height + 0.6)
        if panel["type"] == "bargauge":
            axes = figure.add_axes((left + 2.1 * inch_w, bottom + 0.15 * inch_h, wide - 2.7 * inch_w, high - 0.6 * inch_h), facecolor=CARD)
            shown = sorted(((points[-1][1], name) for name, points in series), reverse=False)
            most = max((value for value, _ in shown), default=1) or 1
            for index, (value, name) in enumerate(shown):
                axes.barh(index, most, color="#22252b", height=0.62)
                axes.barh(index, value, color=plt.cm.YlOrRd(0.3 + 0.55 * value / most), height=0.62)
                axes.text(most * 1.02, index, f"{value:.0f}", color=TEXT, fontsize=8, va="center")
            axes.set_yticks(range(len(shown)), [name for _, name in shown])
            axes.set_xlim(0, most)
            axes.tick_params(colors=TEXT, labelsize=7.5, length=0)
            axes.set_xticks([])
            for spine in axes.spines.values():
                spine.set_visible(False)
            continue
        right = panel["options"]["legend"]["placement"] == "right"
        columns = max(1, panel["gridPos"]["w"] // 3)
        below = 0.3 if right else 0.3 + 0.17 * min(5, math.ceil(max(1, len(series)) / columns))
        legend = 2.5 if right else 0.12
        axes = figure.add_axes((left + 0.78 * inch_w, bottom + (below + 0.1) * inch_h, wide - (0.78 + legend) * inch_w, high - (below + 0.5) * inch_h), facecolor=CARD)
        handles = lines(axes, panel, series, start)
        if not handles:
            axes.text(0.5, 0.5, "none", color=FAINT, ha="center", va="center", transform=axes.transAxes, fontsize=11)
            axes.set_xticks([]), axes.set_yticks([])
            continue
        marks, names = zip(*handles[:18])
        place = dict(loc="center left", bbox_to_anchor=(1.01, 0.5)) if right else dict(
            loc="upper left", bbox_to_anchor=(-0.1, -0.16), ncol=columns, columnspacing=1.0)
        axes.legend(marks, [one if len(one) < 30 else f"{one[:29]}…" for one in names], frameon=False, fontsize=7, labelcolor=TEXT, handlelength=1.2, borderaxespad=0, **place)
    figure.savefig(path, dpi=80, facecolor=BACK)
    plt.close(figure)
