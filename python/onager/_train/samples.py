"""What a student learns from: batches of feeds, labels, and what the teacher says. Some are held out, which chooses nothing and judges the result."""
from __future__ import annotations

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from .._errors import CompileError
from .._session import InferenceSession
from .node import BAD_FILE, BAD_OPTION

Feeds = dict[str, np.ndarray]


@dataclasses.dataclass
class Batch:
    """Inputs by name; the label, and the teacher's outputs by name, where there are any."""
    feeds: Feeds
    label: np.ndarray | None = None
    teacher: Feeds | None = None


class Samples:
    """Batches as they are given, or, with `batch`, rows of all of them mixed anew in each epoch. A folder's archives are read one by one."""

    def __init__(self, data: object, labels: object, inputs: Sequence[str], batch: int | None, held_out: int):
        self.inputs, self.label_name = list(inputs), labels if isinstance(labels, str) else None
        self.teacher: InferenceSession | None = None
        self.paths: list[pathlib.Path] = []
        self.entries: list[Batch] = []
        if isinstance(data, (str, os.PathLike)):
            self.paths = sorted(pathlib.Path(data).glob("*.npz"))
            if not self.paths:
                raise CompileError(f"data: folder '{os.fspath(data)}' has no .npz", BAD_FILE)
            self.given_labels = None if labels is None or self.label_name else [np.asarray(label) for label in labels]
            self._check_count(len(self.paths))
        else:
            self._collect(data, labels)
        self.batch = batch
        if batch is not None:
            self._pool(batch)
        count = len(self.entries or self.paths)
        self.training, self.held_out = ([k for k in range(count) if (held_out > 0 and k % held_out == held_out - 1) == is_held] for is_held in (False, True))
        if not self.training:
            raise CompileError(f"data: all {count} samples are held out", BAD_OPTION)

    def _check_count(self, count: int) -> None:
        if self.given_labels is not None and len(self.given_labels) != count:
            raise CompileError(f"labels: expected {count}, one for each sample, found {len(self.given_labels)}", BAD_OPTION)

    def _collect(self, data: Iterable[Mapping[str, object]], labels: object) -> None:
        feeds = list(data)
        self.given_labels = None if labels is None or self.label_name else [np.asarray(label) for label in labels]
        self._check_count(len(feeds))
        if not feeds:
            raise CompileError("data: there are no samples", BAD_OPTION)
        self.entries = [self._read(entry, k) for k, entry in enumerate(feeds)]

    def _read(self, feeds: Mapping[str, object], k: int) -> Batch:
        for name in (*self.inputs, *([self.label_name] if self.label_name else [])):
            if name not in feeds:
                raise CompileError(f"sample {k}: no array '{name}', found {', '.join(feeds)}", BAD_FILE)
        label = np.asarray(feeds[self.label_name]) if self.label_name else self.given_labels[k] if self.given_labels is not None else None
        return Batch({name: np.asarray(feeds[name]) for name in self.inputs}, label)

    def _pool(self, batch: int) -> None:
        """Makes rows the samples."""
        if batch < 1:
            raise CompileError(f"batch: expected at least 1, found {batch}", BAD_OPTION)
        entries = self.entries or [self.load(k) for k in range(len(self.paths))]
        rows = []
        for k, entry in enumerate(entries):
            counts = {array.shape[0] if array.ndim else None for array in (*entry.feeds.values(), *([] if entry.label is None else [entry.label]))}
            if len(counts) != 1 or None in counts:
                raise CompileError(f"sample {k}: with batch, expected arrays of as many rows as each other", BAD_OPTION)
            rows += [Batch({name: array[r] for name, array in entry.feeds.items()}, None if entry.label is None else entry.label[r]) for r in range(counts.pop())]
        self.entries, self.paths = rows, []

    def load(self, k: int) -> Batch:
        """Returns a sample: a batch as it was given, or a row."""
        if not self.paths:
            return self.entries[k]
        try:
            with np.load(self.paths[k]) as archive:
                return self._read(dict(archive), k)
        except (OSError, ValueError) as error:
            raise CompileError(f"{self.paths[k]}: {error}", BAD_FILE) from error

    def iterate(self, order: Sequence[int]) -> Iterator[Batch]:
        """Yields batches in an order of samples, with what the teacher says; rows are put together."""
        if self.batch is None:
            for k in order:
                yield self._ask(self.load(k))
            return
        for start in range(0, len(order), self.batch):
            rows = [self.entries[k] for k in order[start:start + self.batch]]
            if rows[0].teacher is None and self.teacher:
                self._ask_rows()
            yield stack(rows)

    def _ask(self, batch: Batch) -> Batch:
        if self.teacher and batch.teacher is None:
            batch.teacher = self._run_teacher(batch.feeds)
        return batch

    def _run_teacher(self, feeds: Feeds) -> Feeds:
        try:
            return run_session(self.teacher, feeds)
        except (ValueError, RuntimeError) as error:
            raise CompileError(f"teacher: {error}", BAD_OPTION) from error

    def _ask_rows(self) -> None:
        """Runs the teacher over all rows; it may see them in other batches than the student."""
        for start in range(0, len(self.entries), self.batch):
            rows = self.entries[start:start + self.batch]
            outputs = self._run_teacher(stack(rows).feeds)
            for k, row in enumerate(rows):
                row.teacher = {name: array[k] for name, array in outputs.items()}

    def take_feeds(self, most: int) -> list[Feeds]:
        """Returns feeds of the training part."""
        return [batch.feeds for batch in itertools.islice(self.iterate(self.training), most)]


def stack(rows: list[Batch]) -> Batch:
    def join(parts: list[Feeds]) -> Feeds:
        return {name: np.stack([part[name] for part in parts]) for name in parts[0]}

    return Batch(join([row.feeds for row in rows]), None if rows[0].label is None else np.stack([row.label for row in rows]),
                 None if rows[0].teacher is None else join([row.teacher for row in rows]))


def run_session(session: InferenceSession, feeds: Feeds) -> Feeds:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))
