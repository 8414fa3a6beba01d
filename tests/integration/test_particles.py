"""Extracted particles: what RELION extracts at the same coordinates and classifies, in files and on
the wire."""

import json
import shutil
import types

import mrcfile
import numpy as np
import pytest
from jsonschema import validate
from live import write, write_rejected
from micrographs import PIXEL_SIZE, read_picks, read_star, write_mrc, write_tiff
from service import PATIENCE, Service, Subscriber
from support import ROOT, run
from test_relion import extract, relion

SCHEMA = json.loads((ROOT / "include/messages.schema.json").read_text(encoding="utf-8"))
needs_relion = pytest.mark.skipif(
    shutil.which("relion_preprocess") is None, reason="RELION is not installed"
)

BOX = 280  # px: some reach over the edges
TYPES = {"mrc.mrc": "f4", "tif.tif": "f4", "half.mrc": "f2"}
# RELION 3 does not read float16. The scene's pixels are integers that float16 holds exactly, so its
# boxes are those of the same pixels in float32.
RELION_READS = {"mrc.mrc": "mrc.mrc", "tif.tif": "tif.tif", "half.mrc": "mrc.mrc"}


def read_stack(path):
    with mrcfile.open(path) as file:
        assert file.is_image_stack()
        return file.data.copy(), float(file.voxel_size.x), int(file.header.mode)


def read_rows(path):
    """The images of a STAR file of particles, and the coordinates."""
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if "@" in line]
    return [row[3] for row in rows], np.array([row[:2] for row in rows], float).reshape(-1, 2)


# ---- files ---------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def project(tmp_path_factory, scene):
    """A RELION project with the scene, which is not square, in three files."""
    directory = tmp_path_factory.mktemp("particles")
    (directory / "Micrographs").mkdir()
    (directory / "default_pipeline.star").touch()
    for name, dtype in TYPES.items():
        write = write_mrc if name.endswith(".mrc") else write_tiff
        write(directory / "Micrographs" / name, scene.image, dtype)
    return types.SimpleNamespace(directory=directory, picks=directory / "Picks/Micrographs", options=[
        *scene.options, "--extract", "--set", f"output.box={BOX} px", "-o", directory / "Picks"])


@needs_relion
@pytest.mark.parametrize(("bin_", "radius"), [(0, 105), (64, 24)], ids=["whole", "binned"])
def test_relion_extracts_the_same_boxes(project, bin_, radius):
    size = bin_ or BOX
    run("pick", *project.options, "--set", f"output.bin={bin_}", project.directory / "Micrographs")
    picks = read_picks(project.picks / "mrc_autopick.star")
    inside = ((picks[:, :2] >= BOX // 2) & (picks[:, :2] + BOX // 2 <= (900, 1024))).all(axis=1)
    assert inside.any() and not inside.all()
    theirs, _ = extract(project.directory, sorted(set(RELION_READS.values())), BOX, options=[
        "--norm", "--invert_contrast", "--bg_radius", radius, "--scale", size])
    for name, other in RELION_READS.items():
        stem = name.rpartition(".")[0]
        ours, pixel_size, mode = read_stack(project.picks / f"{stem}_particles.mrcs")
        assert mode == 2 and pixel_size == pytest.approx(PIXEL_SIZE * BOX / size, 1e-5)
        assert ours.shape == theirs[other].shape == (len(picks), size, size)
        assert np.abs(ours - theirs[other]).max() < 1e-3  # standard deviations of the background
        images, centres = read_rows(project.picks / f"{stem}_particles.star")
        assert np.array_equal(centres, picks[:, :2])
        assert images == [f"{i + 1:06d}@Picks/Micrographs/{stem}_particles.mrcs"
                          for i in range(len(picks))]


def test_files_of_particles_are_those_of_the_picks(project, scene):
    """Float16 on request; a later run removes them first; --resume looks for them."""
    def pick(*options, status=0, name="mrc.mrc"):
        return run("pick", *project.options, "--set", "output.bin=64", *options,
                   project.directory / "Micrographs" / name, status=status).stdout

    stack = project.directory / "Picks/Micrographs/mrc_particles.mrcs"
    star = stack.with_suffix(".star")
    pick()
    single, _, _ = read_stack(stack)
    pick("--set", "output.extract_float16=yes")
    half, _, mode = read_stack(stack)
    assert mode == 12 and half.dtype == np.float16 and np.array_equal(half, single.astype("f2"))
    assert pick("--resume") == ""
    star.unlink()
    assert "picks in" in pick("--resume") and star.exists()
    pick("--set", "output.extract_invert=no")
    assert np.array_equal(read_stack(stack)[0], -single)
    # Boxes that cannot be: the picks are written, and particles of other picks are gone.
    assert "picks in" not in pick("--set", "output.box=5000 px", status=1)
    assert not stack.exists() and not star.exists()
    assert len(read_picks(project.picks / "mrc_autopick.star")) == len(single)
    # Without picks there are no images.
    pick()
    pick("--min-score", "1e6")
    assert not stack.exists() and read_rows(star)[0] == []


# ---- service -------------------------------------------------------------------------------------

def classify(directory, star, box):
    """The class averages after two iterations of RELION's 2-D classification."""
    (directory / "Class2D").mkdir(exist_ok=True)
    relion("relion_refine", "--i", star, "--o", "Class2D/run", "--iter", 2, "--K", 2,
           "--particle_diameter", 130, "--pad", 1, "--random_seed", 1, "--zero_mask", "--norm",
           "--scale", "--oversampling", 0, "--psi_step", 30, "--offset_range", 2, "--offset_step", 2,
           cwd=directory)
    classes = mrcfile.read(directory / "Class2D/run_it002_classes.mrcs")
    assert classes.shape == (2, box, box)
    return classes


def is_class_of(average, truth):
    """The correlation of two images within the particle, at any rotation by 90 degrees."""
    y, x = np.indices(truth.shape) - truth.shape[0] // 2
    inside = x * x + y * y < (truth.shape[0] // 3) ** 2
    return max(np.corrcoef(np.rot90(average, k)[inside], truth[inside])[0, 1] for k in range(4))


SIZE = 32  # px of a published box, of 42 px of the micrograph


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A service that has extracted and published the particles of synthetic ribosomes."""
    home = tmp_path_factory.mktemp("published")
    run("synth", "-n", 6, "--size", "1000x900", "--pixel-size", 4, "--snr", 0.5, "--particles", 110,
        "--contaminants", 0, home / "synth")
    (home / "service").mkdir()
    with Service("output.extract=yes", f"output.bin={SIZE}", f"publish.particles={SIZE - 1}",
                 "publish.particles_max=60", diameter="110", directory=home / "service") as service, \
            Subscriber(service, (b"picks", b"status", b"particles")) as subscriber:
        subscriber.connected()
        write_mrc(service.data / "0flat.mrc", np.full((300, 300), 7, "f4"), pixel_size=4)
        for path in sorted((home / "synth").glob("*.mrc")):
            shutil.copy(path, service.data)
        outcomes, particles, order = {}, {}, []
        while len(outcomes) < 7 or len(particles) < 6:
            topic, text, *arrays = subscriber.receive(subscriber.sub, PATIENCE)
            header = json.loads(text)
            validate(header, SCHEMA)
            order.append((topic, header.get("seq")))
            if topic == b"picks":
                outcomes[header["seq"]] = header
            elif topic == b"particles":
                array, = header["arrays"]
                boxes = np.frombuffer(arrays[0], array["dtype"]).reshape(array["shape"])
                particles[header["seq"]] = header, boxes
        assert subscriber.replay()[1] == 7  # of outcomes alone: it refuses anything else
        metrics = subscriber.status()["metrics"]
        assert service.stop() == 0
        yield types.SimpleNamespace(home=home, service=service, outcomes=outcomes, order=order,
                                    particles=particles, metrics=metrics)


def test_particles_follow_their_picks(published):
    assert published.metrics["particles_dropped"] == 0
    for seq, header in published.outcomes.items():
        count = header["result"]["count"]
        assert (seq in published.particles) == (count > 0)
        if count == 0:
            continue
        assert published.order.index((b"picks", seq)) < published.order.index((b"particles", seq))
        message, boxes = published.particles[seq]
        assert message["box"] == {"side": 42, "pixel_size": 5.25, "radius": 12, "inverted": True}
        assert message["micrograph"]["shape"] == header["micrograph"]["shape"] == [900, 1000]
        assert boxes.shape == (min(count, 60), SIZE, SIZE)
        stem = header["micrograph"]["name"].removesuffix(".mrc")
        stored, _, _ = read_stack(published.service.picks / f"{stem}_particles.mrcs")
        assert len(stored) == count
        assert np.array_equal(boxes, stored[:60].astype("f2"))


@needs_relion
def test_relion_classifies_published_particles(published, tmp_path):
    """As in pickstream-messages(7): what a subscriber has is a stack for RELION."""
    boxes = np.concatenate([boxes for _, boxes in published.particles.values()]).astype("f4")
    assert len(boxes) > 250
    with mrcfile.new(tmp_path / "particles.mrcs", boxes) as stack:
        stack.set_image_stack()
    one = published.service.picks / "synth_000001_particles.star"
    head = one.read_text(encoding="utf-8").partition("_rlnCoordinateX")[0]
    (tmp_path / "particles.star").write_text(
        head + "_rlnImageName #1\n_rlnOpticsGroup #2\n" +
        "".join(f"{i + 1}@particles.mrcs 1\n" for i in range(len(boxes))), encoding="utf-8")
    truth = []
    for path in sorted((published.home / "synth").glob("*.mrc")):
        image = np.pad(mrcfile.read(path).astype("f4"), 42, mode="edge")
        centres = read_star(path.with_name(f"{path.stem}_truth.star"))
        for x, y in np.column_stack(list(centres.values()))[:, :2].astype(int):
            truth.append(image[y + 21:y + 63, x + 21:x + 63])
    spectrum = np.fft.fftshift(np.fft.fft2(-np.mean(truth, axis=0)))[5:37, 5:37]
    average = np.fft.ifft2(np.fft.ifftshift(spectrum)).real
    classes = classify(tmp_path, "particles.star", SIZE)
    assert max(is_class_of(each, average) for each in classes) > 0.8
    # The service's own files, unchanged.
    classify(published.service.home.parent, one, SIZE)


def test_export_extracts_the_same_again(published, tmp_path):
    service = published.service
    (service.data / "synth_000002.mrc").unlink()
    write_mrc(service.data / "synth_000003.mrc", np.ones((900, 1000), "f4"))
    done = run("export", "-c", service.config, "--extract", "-o", tmp_path, status=1)
    for name, why in (("2", "No such file or directory"), ("3", "the file has changed")):
        assert f"synth_00000{name}.mrc: particles not extracted: {why}" in done.stderr
        assert not list(tmp_path.glob(f"synth_00000{name}_particles*"))
        assert (tmp_path / f"synth_00000{name}_autopick.star").exists()
    for number in 1, 4, 5, 6:
        name = f"synth_00000{number}_particles.mrcs"
        assert (tmp_path / name).read_bytes() == (service.picks / name).read_bytes()


def test_particles_that_could_not_be_written_are_extracted_later():
    """From the micrograph, which is read again; old ones never stand for new picks."""
    with Service("output.extract=yes") as service, Subscriber(service) as subscriber:
        subscriber.connected()
        stack = service.picks / "x_particles.mrcs"
        (stack / "in the way").mkdir(parents=True)
        write(service, "x.mrc")
        outcome = subscriber.outcome()
        assert outcome.header["result"]["count"] == len(outcome.picks) > 0
        assert "x_particles.mrcs" in outcome.header["result"]["warnings"][0]
        picks = read_picks(service.picks / "x_autopick.star")
        assert np.array_equal(picks[:, :2].astype("f4"), outcome.picks[:, :2])
        assert not stack.with_suffix(".star").exists()
        subscriber.status(lambda status: status["output"]["files_missing"] == 1)
        shutil.rmtree(stack)
        subscriber.status(lambda status: status["output"]["files_missing"] == 0)
        written, _, _ = read_stack(stack)
        assert len(written) == len(picks) and len(read_rows(stack.with_suffix(".star"))[0]) == len(picks)
        # The micrograph becomes one without particles: so do its files.
        write_rejected(service, "x.mrc")
        assert subscriber.outcome().status == "rejected"
        assert not stack.exists() and read_rows(stack.with_suffix(".star"))[0] == []
