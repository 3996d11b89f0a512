"""Runs tasks in worker processes, so that a crash or a hang costs one task and is reported as such.

`run_tasks(function, tasks)` calls function(task) -> (verdict, reason) for each task; exceptions give ("error", text). The function must be
importable by name. A worker that dies gives ("crash", signal), one that is silent for too long ("hang", seconds) and is replaced: it has computed for
that long, or waited ten times as long, so that a busy machine makes no hangs. Workers end with the call, unless it is one of many: `keep` leaves them
to the next call with the same function, for starting one and loading its libraries takes seconds.
"""
import collections
import multiprocessing
import os
import pathlib
import queue
import signal
import threading
import time

WORKERS = int(os.environ.get("ONAGER_TEST_JOBS", "2"))
TASKS = 400  # of one worker that is kept: what libraries leave behind goes with it
WAITS = 10  # times as long as a worker may compute

_idle = collections.defaultdict(list)


def _serve(function, connection) -> None:
    # Compilers and libraries write warnings; results alone go to the test's output.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            result = function(task)
        except Exception as error:  # the verdict of the task, not of the runner
            result = "error", f"{type(error).__name__}: {str(error).strip()[:400]}"
        connection.send(result)


class _Worker:
    def __init__(self, function):
        context = multiprocessing.get_context("spawn")
        self.connection, remote = context.Pipe()
        self.process = context.Process(target=_serve, args=(function, remote), daemon=True)
        self.process.start()
        self.count = 0
        remote.close()

    def run(self, task, seconds: float):
        self.count += 1
        try:
            self.connection.send(task)
            start, spent = time.monotonic(), self.get_seconds()
            while not self.connection.poll(1):
                if self.get_seconds() - spent > seconds or time.monotonic() - start > WAITS * seconds:
                    self.process.kill()
                    return "hang", f"over {seconds:g} s"
            return self.connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self.process.join()
            code = self.process.exitcode
            name = signal.Signals(-code).name if code and code < 0 else f"exit {code}"
            return "crash", name

    def get_seconds(self) -> float:
        """The processor's time that the worker has had; 0 once it is gone."""
        try:
            fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self.connection.close()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()


def _take(function) -> _Worker:
    try:
        return _idle[function].pop()
    except IndexError:
        return _Worker(function)


def run_tasks(function, tasks, seconds: float = 60, workers: int = WORKERS, tell=lambda done: None, keep: bool = False) -> dict:
    """Returns {task: (verdict, reason)}; tells how many tasks are done after each."""
    waiting = queue.Queue()
    for task in tasks:
        waiting.put(task)
    results = {}

    def drive() -> None:
        worker = None
        while True:
            try:
                task = waiting.get_nowait()
            except queue.Empty:
                break
            worker = worker or _take(function)
            results[task] = tuple(worker.run(task, seconds))
            tell(len(results))
            if results[task][0] in ("crash", "hang"):
                worker = None
        if worker and keep and worker.count < TASKS:
            _idle[function].append(worker)
        elif worker:
            worker.close()

    threads = [threading.Thread(target=drive) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
