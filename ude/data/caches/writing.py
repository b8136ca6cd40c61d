"""Filling a cache of frames: in parallel, resumable after a kill at any moment, and again when image files change."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from tqdm import tqdm

from ude.files import DataError, append_jsonl, lock_folder, require_space, sha256, write_jsonl

from .manifest import (
    MANIFEST,
    UNFINISHED,
    CachedFile,
    FrameFormat,
    Key,
    Keys,
    file_state,
    first_unused_row,
    manifest_header,
    read_manifest,
    rows_for,
)
from .stores import STORES, Store

Read = Callable[[], np.ndarray]
"""Gives the pixels of an image file, uint8 (3, H, W)."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_AHEAD = 4
"""Jobs per thread that wait for their turn, so that results come in order and none is waited for."""


@dataclass(frozen=True)
class CacheSummary:
    """What filling a cache came to.

    Attributes:
        made: files that were decoded.
        kept: files whose pixels were there and whole.
        problems: why files could not be decoded.
        bytes: what all of the cache takes on the disk.
    """

    made: int
    kept: int
    problems: tuple[str, ...]
    bytes: int


@dataclass(frozen=True)
class CacheOptions:
    """How a cache is filled.

    Attributes:
        threads: how many read at a time.
        keep_problems: note files that cannot be read in the cache, instead of ending.
        progress: show progress bars.
    """

    threads: int = 1
    keep_problems: bool = False
    progress: bool = True


def write_frame_cache(
    folder: str | Path,
    images: Mapping[Path, Read],
    frames: FrameFormat,
    *,
    roots: Mapping[str, str | Path],
    options: CacheOptions = CacheOptions(),
) -> CacheSummary:
    """Add image files to a cache, make those anew that have changed, and check the checksums of all the others.

    A file that was done is known by its line in a journal, which is written behind its pixels and becomes the manifest
    at the end. What the cache holds of other files stays. A row of the manifest never gets the pixels of another file
    or of another version of its file, so that a training that reads the cache meanwhile sees no change; a file that has
    changed leaves its row behind, which takes room until the folder is removed and filled again.

    Args:
        folder: where the cache is or will be.
        images: image files, and what reads the pixels of each.
        frames: what these pixels are.
        roots: folders that the image files are below, by name.
        options: how to do it.

    Raises:
        DataError: an image cannot be read, the cache holds frames of another kind, or another process fills it.
        DiskFullError: the frames do not fit on the disk.
    """
    folder, key_of = Path(folder), Keys(roots)
    wanted = {key_of(path): (path, read) for path, read in images.items()}
    with lock_folder(folder), closing(STORES[frames.store](folder, frames.size, to_write=True)) as store:
        known = _known(folder, frames)
        standing = _standing(known, store, wanted, options)
        missing = {key: path for key, (path, _) in wanted.items() if key not in standing}
        rows = rows_for(missing, known, standing, first_unused_row(folder))
        new = len(set(rows) - {file.row for file in known.values()})
        require_space(folder, new * store.frame_bytes, purpose="the frames")
        header, journal = manifest_header(frames, roots), folder / UNFINISHED
        if missing or standing != known or not (folder / MANIFEST).is_file():
            write_jsonl(journal, [header, *map(asdict, standing.values())])
            for file in _made(list(zip(missing, rows, strict=True)), store, wanted, options):
                append_jsonl(journal, asdict(file))
                standing[file.key] = file
            write_jsonl(folder / MANIFEST, [header, *map(asdict, sorted(standing.values(), key=lambda f: f.row))])
            journal.unlink()
    problems = tuple(file.problem for key, file in standing.items() if file.problem and key in wanted)
    return CacheSummary(len(missing), len(wanted) - len(missing), problems, _size_on_disk(folder))


def _known(folder: Path, frames: FrameFormat) -> dict[Key, CachedFile]:
    """Files that a cache holds by its journal, or else by its manifest."""
    for path in (folder / UNFINISHED, folder / MANIFEST):
        if path.is_file():
            found, _, files = read_manifest(path)
            if found != frames:
                raise DataError(
                    f"{folder} holds frames of another kind ({found}, not {frames}); name another folder, or remove it"
                )
            return {file.key: file for file in files}
    return {}


def _standing(
    known: Mapping[Key, CachedFile], store: Store, wanted: Mapping[Key, tuple[Path, Read]], options: CacheOptions
) -> dict[Key, CachedFile]:
    """Those of the known files that have not changed, and whose pixels are whole."""

    def check(file: CachedFile) -> CachedFile | None:
        if file.problem or store.checksum(file.row) != file.crc32:
            return None
        path, _ = wanted.get(file.key, (None, None))
        state = None if path is None else file_state(path)
        if state in (None, (file.bytes, file.mtime_ns)):
            return file
        if state[0] == file.bytes and sha256(path) == file.sha256:  # copied or touched
            return replace(file, mtime_ns=state[1])
        return None

    checked = _in_parallel(check, list(known.values()), "check cache", options)
    return {file.key: file for file in checked if file is not None}


def _made(
    jobs: list[tuple[Key, int]], store: Store, wanted: Mapping[Key, tuple[Path, Read]], options: CacheOptions
) -> Iterator[CachedFile]:
    """The files of some jobs, read and written to the rows that the jobs name."""

    def make(job: tuple[Key, int]) -> CachedFile:
        (root, name), row = job
        path, read = wanted[root, name]
        before, problem, checksum = file_state(path), "", 0
        try:
            checksum = store.write(row, read())
        except DataError as error:
            if not options.keep_problems or error.exit_code != DataError.exit_code:
                raise
            problem = str(error)
        digest = sha256(path) if before else ""
        if file_state(path) != before:
            raise DataError(f"{path} changes while it is read; run again when it is finished")
        return CachedFile(root, name, *(before or (0, 0)), digest, row, checksum, problem)

    return _in_parallel(make, jobs, "cache frames", options)


def _in_parallel(
    action: Callable[[_Item], _Result], items: Iterable[_Item], title: str, options: CacheOptions
) -> Iterator[_Result]:
    """Results of an action in the order of the items, some of which are worked on at a time."""
    pending: deque[Future[_Result]] = deque()
    # torch counts its threads per thread: without the initializer each of these would start its own
    pool = ThreadPoolExecutor(options.threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        for item in tqdm(items, desc=title, unit="frame", disable=not options.progress or not items):
            pending.append(pool.submit(action, item))
            if len(pending) >= _AHEAD * options.threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _size_on_disk(folder: Path) -> int:
    files: Any = (path.stat() for path in folder.rglob("*") if path.is_file())
    return sum(file.st_size for file in files)
