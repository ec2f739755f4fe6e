"""The colours of pictures, light and dark, in one table.

The hues are those of Okabe and Ito, which people with any kind of colour vision can tell apart. Gradients and
contributions come in STEPS steps for each sign, so that both themes are a short list of CSS rules.
"""

from __future__ import annotations

STEPS = 6
WIDTHS = (0.8, 0.8, 1.1, 1.4, 1.8, 2.3, 2.9)  # of an arrow, by the step of its contribution
ROLES = ("input", "parameter", "target", "operation", "part")

BLUE, VERMILION = "#0072b2", "#d55e00"


def mix(a: str, b: str, t: float) -> str:
    """The colour that lies t of the way from a to b; both as "#rrggbb"."""
    channels = [(int(a[i : i + 2], 16), int(b[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(x + (y - x) * t):02x}" for x, y in channels)


# Of classes, in the light and in the dark theme: told apart by every eye where they lie softly on the page, too.
KINDS = (
    (VERMILION, "#f08a3c"),
    (BLUE, "#4aa8de"),
    ("#e0c000", "#f0e442"),
    ("#444444", "#e8e8e8"),
    ("#e078a0", "#a84f80"),
    ("#6b3d00", "#0059a8"),
)

# class of an element: its colour in the light and in the dark theme
FILL: dict[str, tuple[str, str]] = {
    "page": ("#ffffff", "#0d1117"),
    "group": ("#f4f6f9", "#151b23"),
    "subgroup": ("#ffffff", "#0d1117"),
    "ink": ("#1f2328", "#f0f3f6"),
    "muted": ("#59636e", "#9da7b3"),
    "operation": ("#ffffff", "#21262d"),
    "input": ("#dcf2e9", "#0d3b2c"),
    "parameter": ("#f7e4ee", "#4a2439"),
    "target": ("#fbf5b7", "#423d08"),
    "part": ("#eeedf9", "#2a2944"),
    "zero": ("#e8ebee", "#343b44"),
    "nan": ("#f0e442", "#6b6200"),
} | {
    f"{sign}{step}": (mix("#ffffff", hue, 0.05 + 0.11 * step), mix("#161b22", hue, 0.08 + 0.12 * step))
    for sign, hue in (("pos", BLUE), ("neg", VERMILION))
    for step in range(1, STEPS + 1)
}
STROKE: dict[str, tuple[str, str]] = {
    "group": ("#cfd6de", "#3d444d"),
    "subgroup": ("#dde3e9", "#30363d"),
    "operation": ("#59636e", "#9da7b3"),
    "input": ("#00795a", "#2fb98f"),
    "parameter": ("#a84f80", "#d68fb4"),
    "target": ("#857a00", "#cfc436"),
    "part": ("#6861b3", "#a39ce8"),
    "pos": (BLUE, "#4aa8de"),
    "neg": (VERMILION, "#f08a3c"),
    "zero": ("#a3acb6", "#6b7480"),
    "nan": ("#857a00", "#cfc436"),
    "none": ("#a3acb6", "#6b7480"),
    "many": ("#7b8794", "#8d97a3"),
}
