"""Where the benchmarks find the build, the collected models and the networks that topologies.py writes."""
import os
import pathlib
import subprocess
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("ONAGER_BUILD_DIR", ROOT / "build"))
SHARED = pathlib.Path(os.environ.get("ONAGER_SHARED_DIR", ROOT.parent / "shared"))
WORK = BUILD / "benchmarks"


def find_models() -> pathlib.Path | None:
    """Returns the folder of collected models, unpacked where that is needed, or None where there are none."""
    archive = SHARED / "models" / "models.tar.xz"
    if not archive.exists():
        return None
    target = WORK / "collected"
    stamp, mark = target / ".unpacked", f"{archive.stat().st_size} {archive.stat().st_mtime_ns}"
    if not stamp.exists() or stamp.read_text() != mark:
        target.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
        stamp.write_text(mark)
    return target / "models"


def provide_topology(name: str) -> pathlib.Path:
    """Returns the path of a full-size network, written anew where topologies.py is newer."""
    path, script = WORK / "topologies" / f"{name}.onnx", ROOT / "benchmarks" / "topologies.py"
    if not path.exists() or path.stat().st_mtime < script.stat().st_mtime:
        subprocess.run([sys.executable, str(script), str(path.parent), name], check=True, stdout=subprocess.DEVNULL)
    return path
