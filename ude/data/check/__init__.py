"""What is there of a data set, what is broken in it, and what stands in two splits at once."""

from .expected import Expected, expected_counts
from .findings import kept_findings, note_findings, read_files
from .frames import crop_objection, frame_problems, intrinsics_objection
from .images import ImageFacts, examine_image, filmed_problems, image_problems, repeated_images
from .leakage import Leak, leaks
from .lidar import LidarFacts, lidar_facts, lidar_problems
from .presence import missing_files, present_files
from .problems import LIDAR, FrameFiles, Problem, SplitCheck, distinct, frame_files
from .report import DataCheck, broken_document, condition_rows, report_document, table, unexpected
from .scan import scan_images
from .translations import missing_translations, translation_problems, translation_users

__all__ = [
    "LIDAR",
    "DataCheck",
    "Expected",
    "FrameFiles",
    "ImageFacts",
    "Leak",
    "LidarFacts",
    "Problem",
    "SplitCheck",
    "broken_document",
    "condition_rows",
    "crop_objection",
    "distinct",
    "examine_image",
    "expected_counts",
    "filmed_problems",
    "frame_files",
    "frame_problems",
    "image_problems",
    "intrinsics_objection",
    "kept_findings",
    "leaks",
    "lidar_facts",
    "lidar_problems",
    "missing_files",
    "missing_translations",
    "note_findings",
    "present_files",
    "read_files",
    "repeated_images",
    "report_document",
    "scan_images",
    "table",
    "translation_problems",
    "translation_users",
    "unexpected",
]
