"""The page that shows what a translation run has made."""

from .page import shown_rows, write_gallery

__all__ = ["shown_rows", "write_gallery"]
