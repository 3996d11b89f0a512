"""Where the build and the shared data lie. Data that is absent skips its tests, loudly; data that cannot be read fails them."""
import os
import pathlib
import tarfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("ONAGER_BUILD_DIR", ROOT / "build"))
SHARED = pathlib.Path(os.environ.get("ONAGER_SHARED_DIR", ROOT.parent / "shared"))
ONAGER = BUILD / "bin" / "onager"


def unpack(archive: str, folder: str) -> pathlib.Path:
    """Returns build/<folder> with the archive's content; unpacks where the archive is newer than what is there."""
    source = SHARED / archive
    if not source.exists():
        print(f"\nSKIP: {source} is absent, so nothing of it is tested")
        pytest.skip(f"{source} is absent")
    target = BUILD / folder
    stamp = target / ".unpacked"
    mark = f"{source.stat().st_size} {source.stat().st_mtime_ns}"
    if stamp.exists() and stamp.read_text() == mark:
        return target
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(source) as tar:
        tar.extractall(target, filter="data")
    stamp.write_text(mark)
    return target


def find_cases(root: pathlib.Path) -> list[str]:
    """Returns the folders below root that hold a model.onnx, sorted."""
    return sorted(str(path.parent.relative_to(root)) for path in root.rglob("model.onnx"))
