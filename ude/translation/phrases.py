"""What the built-in conditions say to a diffusion model, and what a picture of each has to look like."""

from .objects import OPAQUE

COMMON_NEGATIVE = "cartoon, painting, drawing, text, watermark, deformed, lowres, low quality, worst quality"

PHRASES: dict[str, tuple[str, ...]] = {
    "night": (
        "At night",
        "At night, a street lit by street lamps and head lights",
        "A dark street at night, seen from a car",
        "A city road late at night with lit windows, dash cam photo",
        "A badly lit suburban road at night, noisy camera image",
        "Oncoming head lights on a dark road under a black sky",
        "A town centre after midnight with shop signs and tail lights",
        "A country road at night, only the head lights of the car",
        "A wet city street at night with coloured reflections",
        "A moonless night over an empty avenue, long exposure, grainy",
        "Orange sodium lamps above a quiet residential street at night",
    ),
    "rain": (
        "In a rainy day",
        "In a rainy day, wet road with reflections, grey sky",
        "A street in heavy rain, seen through a wet windscreen",
        "Drizzle over a city road with puddles, dash cam photo",
        "A downpour on a busy road, spray behind the cars",
        "Rain drops on the camera lens, blurred traffic ahead",
        "A soaked street under dark clouds with people under umbrellas",
        "A flooded road after a cloudburst, cars throw up water",
        "Steady rain in a suburb, mirror-like asphalt, dull light",
        "A thunderstorm over the town, dim light, streaks of rain",
    ),
    "night_rain": (
        "In a rainy night",
        "In a rainy night, wet road with reflections of street lamps and head lights",
        "A dark street in heavy rain at night, seen through a wet windscreen",
        "Drizzle over a city road at night with glowing puddles, dash cam photo",
        "Tail lights and spray on a motorway in a rainy night",
        "Rain drops on the camera lens, blurred lamps on a dark street",
        "A soaked avenue after midnight, neon signs mirrored in black asphalt",
        "A downpour on a badly lit suburban road at night, noisy camera image",
        "Oncoming head lights on a wet road under a black sky",
    ),
    "snow": (
        "In a snowy day",
        "In a snowy day, snow on the road and on parked cars",
        "A street in heavy snowfall, dash cam photo",
        "A road with slush and tyre tracks under a grey sky",
        "A blizzard in the city, flakes blown across the view",
        "Roofs, trees and pavements under fresh snow, pale light",
        "An icy road between banks of cleared snow",
        "Light flurries over a frozen suburb in winter",
        "A forest road deep in snow with few tracks",
    ),
    "fog": (
        "In a foggy day",
        "In a foggy day, the end of the street disappears in fog",
        "A road in dense morning fog, dash cam photo",
        "Hazy air over a city street, low visibility",
        "Tail lights fading in thick white fog",
        "A misty country road with vague trees at its sides",
        "Drifting fog banks between the houses of a town",
        "A street in brown haze, the buildings ahead are hardly seen",
    ),
    "day": (
        "By day",
        "By day, a street in even daylight",
        "A city road in daytime under a clear sky, dash cam photo",
        "A suburban street on a bright day, sharp photo",
        "A dry road in mild sunshine, seen from a car",
    ),
    "opaque": OPAQUE,
    "tom": (
        "Made of transparent glass and mirrors",
        "Objects of clear glass and polished mirrors",
        "Transparent glass bottles and jars, studio photo",
        "Crystal bowls and drinking glasses on a table, light shining through",
        "Chrome-plated vessels that mirror the room",
        "Clear plastic cups and boxes, see-through, photo",
        "Polished steel pots with sharp reflections",
        "A mirror and glass panes that reflect their surroundings",
        "Colourless glass vases in front of a window, refraction",
        "Shiny mirror-finished figures on a shelf",
    ),
}
"""By condition, what a prompt may begin with: first the short phrase that goes before a caption (the paper's for night,
rain and snow), then whole prompts for random use without captions, as Diffusion4RobustDepth does. `opaque` asks for
objects that `tom` turns into transparent and mirroring ones; `day` is for training a translator."""

NEGATIVES: dict[str, str] = {
    "night": f"daylight, sun, blue sky, {COMMON_NEGATIVE}",
    "rain": f"sunshine, blue sky, dry road, night, {COMMON_NEGATIVE}",
    "night_rain": f"daylight, sun, blue sky, dry road, {COMMON_NEGATIVE}",
    "snow": f"sunshine, blue sky, green grass, night, {COMMON_NEGATIVE}",
    "fog": f"sunshine, blue sky, clear air, night, {COMMON_NEGATIVE}",
    "day": f"night, darkness, rain, snow, fog, {COMMON_NEGATIVE}",
    "opaque": f"glass, mirror, transparent, reflections, shiny, chrome, night, {COMMON_NEGATIVE}",
    "tom": f"opaque, matt, wood, ceramic, {COMMON_NEGATIVE}",
}

LIMITS: dict[str, dict[str, tuple[float, float]]] = {
    "night": {"luminance": (0.005, 0.48), "sky_luminance": (0.0, 0.42), "bright_share": (0.0, 0.35)},
    "rain": {"luminance": (0.15, 0.9), "sky_luminance": (0.25, 1.0), "dark_share": (0.0, 0.5), "saturation": (0, 0.45)},
    "night_rain": {"luminance": (0.005, 0.48), "sky_luminance": (0.0, 0.42), "bright_share": (0.0, 0.35)},
    "snow": {"luminance": (0.3, 0.97), "sky_luminance": (0.3, 1.0), "dark_share": (0.0, 0.4), "saturation": (0, 0.4)},
    "fog": {"luminance": (0.25, 0.97), "sky_luminance": (0.3, 1.0), "contrast": (0.01, 0.26), "saturation": (0, 0.4)},
    "day": {"luminance": (0.2, 0.95), "sky_luminance": (0.25, 1.0), "dark_share": (0.0, 0.5)},
    "opaque": {"luminance": (0.15, 0.95)},
    "tom": {},
}
"""Widest ranges of the statistics of a picture of each condition. They catch wrong results, not unusual style: real
nights of nuScenes and RobotCar have a mean luminance of 0.15 to 0.34 and 0.15 to 0.24 in the sky, days 0.35 to 0.52
and 0.50 to 0.72; simulated nights, wet or dry, go up to 0.46 and 0.42, simulated rain, snow and fog down to 0.35 and
0.35."""
