"""The workshop of the studio: projects, results that are being made, and takes, owned by one thread.

Whoever wants something has it done on that thread by `ask`. Saving waits for the disk there, and nowhere else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from daemon.projects import exporting, item_changes, take_files, techniques_on_offer
from daemon.projects.importing import ImportedChart
from daemon.projects.item import INPUT, RESULT, Item, ItemError, parse_controls, parse_item, parse_name, tell_time
from daemon.projects.jobs import MAKE, REGENERATE, WAV, Job, JobQueue, Message
from daemon.projects.project import MissingError, Project
from daemon.projects.project_folder import ProjectFolder
from daemon.projects.techniques_on_offer import Wish
from music.midi_text import make_printable
from music.note import ROLES
from music.tunes import TUNES

T = TypeVar("T")
Event = dict[str, Any]


class Workshop:
    """Projects, jobs and takes. Every method but `ask` and `close` belongs to its thread."""

    def __init__(self, takes: Path | None, tell: Callable[[Event], None], *, start_results: bool = True) -> None:
        """Open the project that was open last.

        takes: their folder, None where they are not kept; tell: called from any thread with every event that clients
        are told of; start_results: whether techniques are loaded at once. Raises UserError, StorageError.
        """
        self.takes, self._tell = takes, tell
        self._thread = ThreadPoolExecutor(1, "workshop")
        self._folder = ProjectFolder(take_files.choose_projects_folder(takes))
        self._jobs = JobQueue(self._post, self._tell_job, start=start_results)

    @property
    def project(self) -> Project:
        """The project that is open."""
        return self._folder.project

    @property
    def loaded(self) -> list[str]:
        """The techniques whose results can be there at once."""
        return self._jobs.ready

    def ask(self, function: Callable[[], T]) -> Future[T]:
        """Have a function called on the workshop's thread."""
        return self._thread.submit(function)

    def close(self) -> None:
        """End the results process and close the project. Waits for what is being saved."""
        with contextlib.suppress(RuntimeError):
            self.ask(self._close).result()
        self._thread.shutdown()

    def _close(self) -> None:
        self._jobs.close()
        self._folder.close()

    def _post(self, function: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # it is closed by now
            self._thread.submit(function)

    def _tell_job(self, job: Job) -> None:
        self._tell({"event": "job", **job.describe()})

    # Projects

    def describe(self) -> dict[str, Any]:
        """Return the open project, and the jobs, as JSON has them."""
        return {**self.project.describe(), "jobs": self._jobs.list_jobs(), "loaded": list(self.loaded)}

    def list_projects(self) -> list[dict[str, Any]]:
        """Return all projects as JSON has them."""
        return self._folder.list_projects()

    def create_project(self, name: object) -> dict[str, Any]:
        """Begin a project."""
        return self._change_project(lambda: self._folder.create(parse_name(name)))

    def open_project(self, key: str) -> dict[str, Any]:
        """Open another project."""
        return self._change_project(lambda: self._folder.open(key))

    def delete_project(self, key: str) -> dict[str, Any]:
        """Move a project to the bin."""
        return self._change_project(lambda: self._folder.delete(key))

    def rename_project(self, name: object) -> dict[str, Any]:
        """Give the open project another name."""
        return self._change(lambda: self.project.rename(parse_name(name)))

    def _change_project(self, change: Callable[[], None]) -> dict[str, Any]:
        before = self.project.id
        change()
        if self.project.id != before:
            self._jobs.cancel_all()  # their results would belong to the other project
        self._tell({"event": "project"})
        return self.describe()

    def _change(self, change: Callable[[], object]) -> dict[str, Any]:
        change()
        self._tell({"event": "project"})
        return self.describe()

    # Items

    def add_input(self, item: Item) -> dict[str, Any]:
        """Add music from elsewhere, which has no id of this project yet, as an input."""
        added = replace(item, id=self.project.choose_id(INPUT), kind=INPUT)
        return {**self._put(f"add {added.name}", added), "item": added.id}

    def add_chart(self, chart: ImportedChart) -> dict[str, Any]:
        """Keep the file of a chart, so that results can be made with it."""
        path = self.project.keep_upload(chart.file_name, chart.data)
        return {"chart": str(path), "title": chart.title, "bars": chart.bars}

    def change_item(self, key: str, label: str, change: Callable[[Item], Item]) -> dict[str, Any]:
        """Put another revision in an item's place."""
        return self._put(label, change(self.project.get(key)))

    def copy_to_input(self, key: str) -> dict[str, Any]:
        """Make an input of a result."""
        item = item_changes.make_input(self.project.get(key), self.project.choose_id(INPUT))
        return {**self._put(f"use {item.name} as input", item), "item": item.id}

    def delete_item(self, key: str) -> dict[str, Any]:
        """Delete an item."""
        return self._change(lambda: self.project.delete(f"delete {self.project.get(key).name}", key))

    def undo(self) -> dict[str, Any]:
        """Undo the last change."""
        return self._change(self.project.undo)

    def redo(self) -> dict[str, Any]:
        """Make the change again that was undone last."""
        return self._change(self.project.redo)

    def _put(self, label: str, item: Item) -> dict[str, Any]:
        return self._change(lambda: self.project.put(label, item))

    # Results

    def make(self, key: str, wish: Wish) -> dict[str, Any]:
        """Have a result made of an item; return the job as JSON has it."""
        item, settings, project = self.project.get(key), wish.check(), self.project
        name = techniques_on_offer.name_result(wish.technique, settings.style, wish.seed, wish.extension)

        def finish(answer: Message) -> str:
            made = replace(parse_item(answer["item"]), id=project.choose_id(RESULT), created=tell_time())
            self._put(f"make {made.name}", made)
            return made.id

        return self._submit(MAKE, name, {"item": item.as_json(), "wish": asdict(wish)}, finish)

    def regenerate(self, key: str, bars: tuple[int, int], roles: Sequence[str], wish: Wish) -> dict[str, Any]:
        """Have some bars of some roles of an item played anew; return the job as JSON has it."""
        item, _ = self.project.get(key), wish.check()
        if not 1 <= bars[0] <= bars[1] <= item.bars:
            raise ItemError(f"bars: there are no bars {bars[0]} to {bars[1]}; there are 1 to {item.bars}")
        if not roles or any(role not in ROLES for role in roles):
            raise ItemError(f"roles: one or more of {', '.join(ROLES)} are needed")
        where = f"bar {bars[0]}" if bars[0] == bars[1] else f"bars {bars[0]} to {bars[1]}"
        label = f"another {where} of {', '.join(roles)}"

        def finish(answer: Message) -> str:
            made = parse_item(answer["item"])
            self.change_item(key, label, lambda now: item_changes.put_notes(now, {r: made.get(r) for r in roles}))
            return key

        request = {"item": item.as_json(), "wish": asdict(wish), "bars": bars, "roles": list(roles)}
        return self._submit(REGENERATE, label, request, finish)

    def write_wav(self, item: Item, mix: Mapping[str, object], target: Path) -> Job:
        """Have the sound of an item written; the job's answer comes when it is there."""
        techniques_on_offer.build_mix(parse_controls(dict(mix)))
        request = {"item": item.as_json(), "mix": dict(mix), "file": str(target)}
        return self._jobs.submit(WAV, f"sound of {item.name}", request, _finish_nothing)

    def cancel(self, key: str) -> dict[str, Any]:
        """Cancel a job."""
        if not self._jobs.cancel(key):
            raise MissingError(f"there is no job {make_printable(key[:20])!r} that could be cancelled")
        return self.describe()

    def _submit(
        self, kind: str, name: str, request: Message, finish: Callable[[Message], str | None]
    ) -> dict[str, Any]:
        return self._jobs.submit(kind, name, request, finish).describe()

    def export_midi(self, item: Item, mix: Mapping[str, object]) -> bytes:
        """Return an item as a MIDI file."""
        return exporting.make_midi(item, techniques_on_offer.build_mix(parse_controls(dict(mix))))

    # Takes

    def rename_take(self, name: str, wanted: object) -> list[dict[str, Any]]:
        """Give a take another name; return all takes."""
        take_files.rename_take(self.takes, name, parse_name(wanted))
        return self._list_changed_takes()

    def delete_take(self, name: str) -> list[dict[str, Any]]:
        """Move a take to the bin; return all takes."""
        take_files.delete_take(self.takes, name)
        return self._list_changed_takes()

    def restore_take(self, name: str) -> list[dict[str, Any]]:
        """Bring a take back from the bin; return all takes."""
        take_files.restore_take(self.takes, name)
        return self._list_changed_takes()

    def _list_changed_takes(self) -> list[dict[str, Any]]:
        self._tell({"event": "takes"})
        return take_files.describe_takes(self.takes)


def _finish_nothing(answer: Message) -> None:
    """Leave the project as it is, once a file is there."""
    del answer


def list_examples() -> list[dict[str, object]]:
    """Return the examples as JSON has them."""
    return [
        {"name": name, "title": tune.title, "bpm": tune.bpm, "metre": str(tune.metre), "bars": tune.bars}
        for name, tune in TUNES.items()
    ]
