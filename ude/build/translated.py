"""The translations of the config, of the same part of the frames as the config uses."""

import logging
from pathlib import Path

from yacs.config import CfgNode

from ude.config import ConfigError, yaml_text
from ude.data.translated import STAMP, TranslatedFrames
from ude.files import read_json

from .sources import translated_frames, uses_translations

CONFIG = "config.yaml"
"""What the translation tool leaves in its output folder."""
_WHOLE_FRAMES = (0, 0, 0, 0)
_LOG = logging.getLogger(__name__)


def matching_translations(cfg: CfgNode) -> TranslatedFrames:
    """The translations that the config names.

    Raises:
        ConfigError: they were made with another DATA.CROP, and would be stretched to the config's.
        DataError: they cannot be found.
    """
    translated = translated_frames(cfg)
    require_same_crop(cfg, translated.root)
    return translated


def require_same_crop(cfg: CfgNode, root: Path) -> None:
    """Check that translations show the part of the frames that the config uses.

    Those of others tell nothing of it; with a DATA.CROP that is logged.

    Args:
        cfg: the config.
        root: folder of the translations.

    Raises:
        ConfigError: they show another part.
    """
    wanted, found = tuple(cfg.DATA.CROP), _crop_of(root)
    if found is None:
        if any(wanted):
            _LOG.warning("%s does not tell which part of the frames it shows; it must be DATA.CROP %s", root, [*wanted])
        return
    if found != wanted:
        raise ConfigError(
            f"DATA.CROP is {[*wanted]}, but {[*found]} in {root / CONFIG}, by which the translations were made; make "
            f"them equal, or translate again with DATA.CROP {[*wanted]}"
        )


def linked_translations(cfg: CfgNode) -> list[str]:
    """What the conditions were made from whose folders are links into other translations, as further draws are.

    The stamp of DATA.TRANSLATED.ROOT says nothing of those.

    Args:
        cfg: the config.

    Returns:
        Hashes; none where the stage uses no translations, or other translations tell nothing.
    """
    hashes: list[str] = []
    root = Path(cfg.DATA.TRANSLATED.ROOT)
    for name in cfg.DATA.TRANSLATED.CONDITIONS if uses_translations(cfg) else ():
        folder = root / name
        stamp = folder.resolve().parent / STAMP
        if folder.is_symlink() and stamp.is_file():
            made = read_json(stamp)
            hashes += [name, made["config_hash"], made.get("conditions", {}).get(folder.resolve().name, "")]
    return hashes


def _crop_of(root: Path) -> tuple[int, ...] | None:
    """DATA.CROP of the config by which translations were made, None where they do not tell."""
    try:
        data = yaml_text.read(root / CONFIG)["DATA"]
    except (OSError, ConfigError, TypeError, KeyError):
        return None
    crop = data.get("CROP", _WHOLE_FRAMES) if isinstance(data, dict) else None
    return tuple(crop) if isinstance(crop, list | tuple) else None
