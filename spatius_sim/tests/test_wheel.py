"""A plain wheel in an empty folder: `spatius-sim verify` works, for it carries the suites and the speech."""

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from spatius_sim.net.ports_and_hosts import free_port
from spatius_sim.tests.engine.test_exit_codes import relay

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent.parent
TIMEOUT = 120


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("a wheel is built from a clone")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=TIMEOUT)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_it_carries_suites_and_fixtures_and_no_tests(unpacked: Path) -> None:
    package = unpacked / "spatius_sim"
    reports = ("reporting/templates/report.html.j2", "reporting/report.schema.json")
    for name in ("conformance/relay/test_relay.py", "fixtures/speech/hello.wav", "py.typed", *reports):
        assert (package / name).is_file()
    assert not (package / "tests").exists()
    assert not (package / "miniatures").exists()
    assert not (package / "conformance" / "docs").exists()


def test_no_page_in_it_links_to_a_page_that_stayed_in_the_clone(unpacked: Path) -> None:
    pages = list(unpacked.rglob("spatius_sim/**/*.md"))
    assert pages
    for page in pages:
        links = re.findall(r"\]\(([^)\s#]+)[^)\s]*\)", page.read_text())
        assert not [link for link in links if "://" not in link and not (page.parent / link).exists()], page


def test_verify_works_from_it_in_an_empty_folder(unpacked: Path, tmp_path: Path) -> None:
    port, motion_port = free_port(), free_port()
    # The unpacked wheel comes before whatever else is installed, as in an environment of its own.
    code = f"import sys; sys.path.insert(0, {str(unpacked)!r}); from spatius_sim.cli.main import main; "
    code += "import spatius_sim; print(spatius_sim.__file__); main()"
    verify = ["verify", f"ws://127.0.0.1:{port}", "--motion-port", str(motion_port)]
    command = [sys.executable, "-P", "-c", code, *verify, "--rule", "R-AUDIO-FIRST"]
    with relay(port, motion_port):
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 of 1 rules were exercised" in ran.stdout
    assert str(unpacked) in ran.stdout


def test_wheel_and_sdist_are_the_same_whenever_they_are_built(wheel: Path, tmp_path: Path) -> None:
    built = []
    for name in ("first", "second"):
        build = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path / name)]
        subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=TIMEOUT)
        built.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert built[0] == built[1]
    assert built[0][wheel.name] == wheel.read_bytes()
    assert len(built[0]) == 2


def test_the_sdist_alone_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build"]
    packed = [*build, "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(packed, cwd=ROOT, check=True, capture_output=True, timeout=TIMEOUT)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        # Before Python 3.11.4 there are no filters, and `extractall` takes none.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        archive.extractall(tmp_path)
    alone = tmp_path / sdist.name.removesuffix(".tar.gz")
    assert (alone / "conformance" / "docs" / "five-minutes.md").is_file()
    built = [*build, "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(built, cwd=alone, check=True, capture_output=True, timeout=TIMEOUT)
    with zipfile.ZipFile(tmp_path / wheel.name) as ours, zipfile.ZipFile(wheel) as cloned:
        assert {name: ours.read(name) for name in ours.namelist()} == {
            name: cloned.read(name) for name in cloned.namelist()
        }
