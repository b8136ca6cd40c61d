"""Descriptions of opaque objects, which are easy for depth networks, for text-to-image models.

Source: the easy images of Diffusion4RobustDepth, https://arxiv.org/abs/2407.16698, for transparent and mirror
objects ("wooden bottles, ceramic vessels"); its prompts are not published, these are our own.
"""

from itertools import product

_MATERIALS = (
    "wooden",
    "ceramic",
    "cardboard",
    "clay",
    "rubber",
    "stone",
    "cork",
    "painted metal",
    "matt plastic",
    "felt",
)
_OBJECTS = (
    *("bottles", "vessels", "jars", "bowls", "cups", "plates", "boxes", "vases", "pots", "trays", "cans", "lamps"),
    *("figures", "pitchers", "cubes and balls", "doors", "cabinets", "picture frames", "panels", "window shutters"),
)
_PLACES = (
    *("on a table", "on a shelf in a living room", "on a kitchen counter", "on a desk", "on the floor of a corridor"),
    *("in front of a brick wall", "in a workshop", "on a carpet"),
)
_VIEWS = (
    "sharp photo in even light",
    "photo from above, soft daylight",
    "wide angle photo of the whole room",
    "close-up, everything in focus",
)

OPAQUE: tuple[str, ...] = tuple(
    f"{material.capitalize()} {objects} {place}, {view}"
    for material, objects, place, view in product(_MATERIALS, _OBJECTS, _PLACES, _VIEWS)
)
"""Every material with every object, place and view."""
