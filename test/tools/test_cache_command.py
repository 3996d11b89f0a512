"""`onager cache` tells and prunes what the cache of variants holds; processes that use one folder at once compile once and lose nothing when they are killed."""
import json
import os
import random
import re
import subprocess
import time

import pytest

from support.places import BUILD
from support.seeds import get_seed
from support.tool import expect_error, run_onager

WORKER = BUILD / "bin" / "onager-cache-worker"
GROUP = "a" * 32


def _work(action, folder, *more, **options) -> subprocess.CompletedProcess:
    return subprocess.run([WORKER, action, folder, *map(str, more)], capture_output=True, text=True, timeout=60, **options)


@pytest.fixture
def folder(tmp_path):
    """A cache with the entries that a killed process has stored."""
    process = subprocess.Popen([WORKER, "store", tmp_path / "variants", "7"], stdout=subprocess.PIPE, text=True)
    for _ in range(8):
        assert process.stdout.readline().startswith("entry=")
    process.kill()
    process.wait()
    return tmp_path / "variants"


def _call(*arguments, **options):
    return json.loads(_expect_fine(*arguments, "--json", **options))


def _expect_fine(*arguments, **options) -> str:
    found = run_onager("cache", *arguments, **options)
    assert found.returncode == 0, found.stderr
    return found.stdout


def _flip(path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 16
    path.write_bytes(data)


# ---- the command -------------------------------------------------------------------------------------------------

def test_list(folder):
    listed = _call("list", "--dir", folder)
    files = sorted(folder.glob("*/*.variant"))
    assert [entry["path"] for entry in listed["entries"]] == [str(path) for path in files] and len(files) > 3
    assert [entry["bytes"] for entry in listed["entries"]] == [path.stat().st_size for path in files]
    assert listed["bytes"] == sum(path.stat().st_size for path in files) and listed["folder"] == str(folder)
    for entry, path in zip(listed["entries"], files):
        assert entry["group"] == GROUP and entry["key"] == path.stem and 0 <= entry["age_seconds"] < 60 and entry["fault"] == ""
        assert re.fullmatch(r"entry=\d+", entry["preimage"][0]) and len(entry["preimage"]) == 1
    text = _expect_fine("list", "--dir", folder)
    assert text.splitlines()[0] == f"group {GROUP}" and text.splitlines()[-1] == f"{len(files)} entries, {listed['bytes']} bytes in {folder}"
    for entry in listed["entries"]:
        assert re.search(rf"^  {entry['key'][:16]} +{entry['bytes']} bytes +\d+ s  {entry['preimage'][0]}$", text, re.M), text


def test_prune(folder):
    before = _call("list", "--dir", folder)
    oldest = before["entries"][2]
    os.utime(oldest["path"], (1, 1))
    pruned = _call("prune", "--dir", folder, "--max-bytes", before["bytes"] - 1)
    assert pruned == {"removed": 1, "removed_bytes": oldest["bytes"], "kept": len(before["entries"]) - 1, "kept_bytes": before["bytes"] - oldest["bytes"]}
    assert oldest["path"] not in [entry["path"] for entry in _call("list", "--dir", folder)["entries"]]
    assert _call("prune", "--dir", folder)["removed"] == 0
    assert _expect_fine("prune", "--dir", folder, "--max-bytes", "0") == (
        f"removed {pruned['kept']} entries, {pruned['kept_bytes']} bytes; kept 0 entries, 0 bytes\n")
    assert not list(folder.glob("*/*.variant"))


def test_verify(folder):
    count = len(_call("list", "--dir", folder)["entries"])
    assert _call("verify", "--dir", folder) == {"entries": count, "damaged": []}
    files = sorted(folder.glob("*/*.variant"))
    _flip(files[1], files[1].stat().st_size - 1)
    files[2].write_bytes(files[2].read_bytes()[:-1])
    found = run_onager("cache", "verify", "--dir", folder)
    expect_error(found, 1, f"{files[1]} holds code with another checksum", f"{files[2]} has not the length", f"2 of {count} entries are damaged")
    assert found.stdout == f"2 of {count} entries are damaged\n"
    found = run_onager("cache", "verify", "--dir", folder, "--json")
    assert found.returncode == 1
    assert [damaged["path"] for damaged in json.loads(found.stdout)["damaged"]] == [str(files[1]), str(files[2])]
    assert all(path.exists() for path in files)
    assert [bool(entry["fault"]) for entry in _call("list", "--dir", folder)["entries"]][1:3] == [False, True], "list reads no code"


def test_preimages_are_printed_safely(folder, tmp_path):
    """What a preimage holds must not move the cursor or break JSON."""
    path = sorted(folder.glob("*/*.variant"))[0]
    (folder / GROUP / ("b" * 64 + ".variant")).write_bytes(b"\x1b[2Jnot an entry")
    path.rename(path.with_name("c" * 64 + ".variant"))
    entries = {entry["key"][0]: entry for entry in _call("list", "--dir", folder)["entries"]}
    assert entries["b"]["fault"] == "was cut off" and entries["c"]["fault"] == "has another preimage than its name says"
    assert "\x1b" not in _expect_fine("list", "--dir", folder)


def test_the_users_folder(folder, tmp_path):
    """Without --dir the folder is that of the runtime; one that is not there yet is empty, and stays absent."""
    environment = {name: value for name, value in os.environ.items() if name not in ("ONAGER_CACHE_DIR", "XDG_CACHE_HOME", "HOME")}
    assert _call("list", env=environment | {"ONAGER_CACHE_DIR": str(tmp_path)})["entries"]
    for action in ("list", "verify", "prune"):
        _expect_fine(action, env=environment | {"HOME": str(tmp_path / "home")})
    assert not (tmp_path / "home").exists()
    expect_error(run_onager("cache", "list", env=environment), 4, "ONAGER_CACHE_DIR")


def test_errors(folder, tmp_path):
    for arguments in ([], ["forget"], ["list", "--max-bytes", "5"], ["prune", "--max-bytes", "-1"], ["prune", "--max-bytes", "some"], ["list", "more"]):
        expect_error(run_onager("cache", *arguments, "--dir", folder), 2)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(folder)
    for action in ("list", "prune", "verify"):
        for bad, reason in ((tmp_path / "absent", "No such file"), (tmp_path / "file", "Not a directory"), (tmp_path / "link", "is a link")):
            expect_error(run_onager("cache", action, "--dir", bad), 4, str(bad), reason)
        folder.chmod(0o777)
        expect_error(run_onager("cache", action, "--dir", folder), 4, "may be written to by others")
        folder.chmod(0o700)
    assert not (tmp_path / "absent").exists()


# ---- processes ---------------------------------------------------------------------------------------------------

def test_cold_processes_compile_once(tmp_path):
    racers = [subprocess.Popen([WORKER, "race", tmp_path / "variants"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    said = [racer.communicate(timeout=60) for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 8, said
    assert sorted(out for out, _ in said) == ["compiled\n"] + ["found\n"] * 7
    assert len(list(tmp_path.glob("variants/*/*"))) == 1


def test_killed_writers_lose_nothing(tmp_path):
    """Two processes store at a time, and are killed at random moments. What either said to be on the disk is found, and all that is found is whole."""
    folder, seed = tmp_path / "variants", get_seed()
    draw, stored = random.Random(seed), set()
    for kill in range(40):
        writers = [subprocess.Popen([WORKER, "store", folder, str(draw.randrange(1 << 32))], stdout=subprocess.PIPE, text=True) for _ in range(2)]
        for writer in writers:
            time.sleep(draw.uniform(0, 0.05))
            writer.kill()
        for writer in writers:
            said = writer.communicate()[0]
            stored |= set(said.split("\n")[:-1])
        checked = _work("check", folder)
        assert checked.returncode == 0 and stored <= set(checked.stdout.split()), (seed, kill, stored, checked.stdout)
    assert len(stored) > 10, "they were killed before they stored anything"
    assert run_onager("cache", "verify", "--dir", folder).returncode == 0
    for path in folder.glob("*/*"):
        os.utime(path, (1, 1))
    _expect_fine("prune", "--dir", folder)
    assert not [path for path in folder.glob("*/*") if path.suffix != ".variant"], "locks and temporary files of the dead stay"
    assert stored <= set(_work("check", folder).stdout.split())
