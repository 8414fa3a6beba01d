"""Which files are micrographs: the directories of acquisition and motion correction programs, made
from names alone as those programs write them, and the versions of one exposure in a stream.

Where the names come from is said at each tree. `+` marks a file that is to be picked.
"""

import contextlib
import os
import shutil

import micrographs
import numpy as np
import pytest
from service import Service, Subscriber, session
from support import PROGRAM, run

# EPU: diamondlightsource.github.io/smartem-decisions, "EPU Output Directory Structure";
# home.cryonav.org, "EPU SerialEM Folder Structures". References of the cameras: GAIN_DICT in
# github.com/azazellochg/MDCatch, "FoilHole_*_Data_*-gain-ref.MRC" and "..._gain.tiff".
EPU = """
EpuSession.dm
20220406_175020_EER_GainReference.tif
Metadata/GridSquare_8999138.dm
Atlas/Atlas_1.mrc
Atlas/Tile_18522_0_1.mrc
Supervisor_20250108_101112_Atlas/Sample1/Atlas/Tile_18522_0_2.mrc
Images-Disc1/GridSquare_8999138/GridSquare_20250108_151151.mrc
Images-Disc1/GridSquare_8999138/GridSquare_20250108_151151.xml
Images-Disc1/GridSquare_8999138/FoilHoles/FoilHole_9015889_20250108_154715.mrc
+Images-Disc1/GridSquare_8999138/Data/FoilHole_9015883_Data_9017347_6_20250108_154915.mrc
Images-Disc1/GridSquare_8999138/Data/FoilHole_9015883_Data_9017347_6_20250108_154915.xml
Images-Disc1/GridSquare_8999138/Data/FoilHole_9015883_Data_9017347_6_20250108_154915_Fractions.mrc
+Images-Disc1/GridSquare_8999138/Data/FoilHole_9015883_Data_9017354_6_20250108_154918.mrc
Images-Disc1/GridSquare_8999138/Data/FoilHole_9015883_Data_9017354_6_20250108_154918_fractions.tiff
Images-Disc1/GridSquare_8999138/Data/FoilHole_9015883_Data_9017354_6_20250108_154918_EER.eer
Images-Disc1/GridSquare_8999138/Data/FoilHole_9015883_Data_9017354_6_20250108_154918_gain.tiff
Images-Disc1/GridSquare_8999138/Data/FoilHole_9015883_Data_9017354_6_20250108_1549-gain-ref.MRC
"""

# RELION: src/motioncorr_runner.cpp of 3dem/relion (_noDW, _PS, _EVN, _ODD beside the .star); the
# job keeps the directories of the movies. CtfFind links the micrographs and writes _PS and .ctf.
RELION = """
+MotionCorr/job002/Movies/20170629_00021_frameImage.mrc
MotionCorr/job002/Movies/20170629_00021_frameImage.star
MotionCorr/job002/Movies/20170629_00021_frameImage_noDW.mrc
MotionCorr/job002/Movies/20170629_00021_frameImage_PS.mrc
MotionCorr/job002/Movies/20170629_00021_frameImage_EVN.mrc
MotionCorr/job002/Movies/20170629_00021_frameImage_ODD.mrc
MotionCorr/job002/Movies/20170629_00021_frameImage_shifts.eps
+MotionCorr/job002/Images-Disc1/GridSquare_1/Data/FoilHole_1_Data_2_3_20250108_154915_Fractions.mrc
MotionCorr/job002/Images-Disc1/GridSquare_1/Data/FoilHole_1_Data_2_3_20250108_154915_Fractions.star
+MotionCorr/job003/frames/14sep05c_00024sq_00003hl_00002es_frames.mrc
CtfFind/job003/Movies/20170629_00021_frameImage.mrc
CtfFind/job003/Movies/20170629_00021_frameImage_PS.mrc
CtfFind/job003/Movies/20170629_00021_frameImage_PS.ctf
Extract/job007/Movies/20170629_00021_frameImage.mrcs
Class2D/job008/run_it025_classes.mrcs
Refine3D/job012/run_class001.mrc
"""

# MotionCor2 and 3: _DW and _DWS as in 3dem/relion, src/motioncorr_runner.cpp; _Stk, _EVN, _ODD,
# -Full.log in their manuals; _Ctf of MotionCor3. The average has the name of its movie.
MOTIONCOR = """
FoilHole_1_Data_9_fractions.mrc
+FoilHole_1_Data_9_fractions_DW.mrc
FoilHole_1_Data_9_fractions_DWS.mrc
FoilHole_1_Data_9_fractions_Stk.mrc
FoilHole_1_Data_9_fractions_EVN.mrc
FoilHole_1_Data_9_fractions_ODD.mrc
FoilHole_1_Data_9_fractions_DW_EVN.mrc
FoilHole_1_Data_9_fractions_Ctf.mrc
FoilHole_1_Data_9_fractions0-Patch-Full.log
FoilHole_2_Data_9_fractions.mrc
+FoilHole_2_Data_9_fractions_DWS.mrc
+FoilHole_3_Data_9_fractions.mrc
+20240101_0004.mrc
"""

# Warp and WarpTools: WarpLib/Movie.cs of warpem/warp, the constants ...DirName.
WARP = """
frames/20170629_00021_frameImage.tif
warp_frameseries/20170629_00021_frameImage.xml
+warp_frameseries/average/20170629_00021_frameImage.mrc
warp_frameseries/average/20170629_00021_frameImage_motion.json
warp_frameseries/average/even/20170629_00021_frameImage.mrc
warp_frameseries/average/odd/20170629_00021_frameImage.mrc
warp_frameseries/average/denoised/20170629_00021_frameImage.mrc
warp_frameseries/denoising/odd/20170629_00021_frameImage.mrc
warp_frameseries/deconv/20170629_00021_frameImage.mrc
warp_frameseries/mask/20170629_00021_frameImage.tif
warp_frameseries/matching/20170629_00021_frameImage_apoferritin_corr.mrc
warp_frameseries/powerspectrum/20170629_00021_frameImage.mrc
warp_frameseries/thumbnails/20170629_00021_frameImage.png
"""

# Warp 1.0 writes these directories beside the movies.
WARP_1 = """
20170629_00021_frameImage.tif
20170629_00021_frameImage.xml
+average/20170629_00021_frameImage.mrc
powerspectrum/20170629_00021_frameImage.mrc
"""

# cryoSPARC: names of a job's files as EMPIAR-10532 has them (motioncorrected/*_patch_aligned.mrc and
# *_background.mrc), _patch_aligned_doseweighted as SIMPLE's "mcconvention" writes it for cryoSPARC;
# job.json in every job's directory.
CRYOSPARC = """
J4/job.json
J4/motioncorrected/013361838351298364391_FoilHole_15362370_Data_15372558_15372560_20211015_235110_fractions_patch_aligned.mrc
+J4/motioncorrected/013361838351298364391_FoilHole_15362370_Data_15372558_15372560_20211015_235110_fractions_patch_aligned_doseweighted.mrc
J4/motioncorrected/013361838351298364391_FoilHole_15362370_Data_15372558_15372560_20211015_235110_fractions_background.mrc
J4/motioncorrected/013361838351298364391_FoilHole_15362370_Data_15372558_15372560_20211015_235110_fractions_rigid_traj.npy
+J4/motioncorrected/000000000000000000002_x_rigid_aligned.mrc
J4/thumbnails/000000000000000000002_x_thumb_@1x.png
J5/job.json
J5/ctfestimated/000000000000000000002_x_ctf_spectrum.mrc
J6/job.json
J6/extract/000000000000000000002_x_patch_aligned_doseweighted_particles.mrc
J7/job.json
J7/cryosparc_P20_J7_002_volume_map.mrc
J8/job.json
J8/denoised/000000000000000000002_x_denoised.mrc
"""

# SerialEM: bio3d.colorado.edu/SerialEM, references "CountRef" and "SuperRef", "defects_"; maps in
# home.cryonav.org, "EPU SerialEM Folder Structures".
SERIALEM = """
CountRef_20240101_0001.mrc
SuperRef_20240101_0001.mrc
defects_20240101_0001.tif
grid1.nav
grid1_LMM.mrc
grid1_LMM.mrc.mdoc
MMM_grid1.mrc
atlas.mrc
+20240101_0001.mrc
20240101_0001.mrc.mdoc
20240101_0001_frames.mrc
20240101_0001_frames.tif
Frames/20240101_0002.tif
"""

# SIMPLE: INTGMOV_SUFFIX and so on in simple_defs_fname of hael/SIMPLE.
SIMPLE = """
+FoilHole_23337193_Data_23336346_23336347_20180523_1726-163966_intg.mrc
FoilHole_23337193_Data_23336346_23336347_20180523_1726-163966_forctf.mrc
FoilHole_23337193_Data_23336346_23336347_20180523_1726-163966_pspec.mrc
FoilHole_23337193_Data_23336346_23336347_20180523_1726-163966_thumb.jpg
FoilHole_23337193_Data_23336346_23336347_20180523_1726-163966_ctf_estimate_diag.jpg
"""

# Leginon: emg.nysbc.org, "How does Leginon Name the Files". ctffind: diagnostic_output.mrc is the
# name that it proposes. topaz: `topaz denoise -o denoised/`. pickstream: its stacks of particles.
OTHERS = """
+09mar16a_00005gr_00003sq_00001hl_00002en.mrc
09mar16a_00005gr.mrc
09mar16a_00005gr_00003sq.mrc
09mar16a_00005gr_00003sq_00001hl.mrc
diagnostic_output.mrc
09mar16a_00005gr_00003sq_00001hl_00002en_ctf.mrc
09mar16a_00005gr_00003sq_00001hl_00002en_ctffind4_diag.mrc
denoised/09mar16a_00005gr_00003sq_00001hl_00002en.mrc
topaz_denoised/09mar16a_00005gr_00003sq_00001hl_00002en.mrc
picks/09mar16a_00005gr_00003sq_00001hl_00002en_particles.mrcs
picks/09mar16a_00005gr_00003sq_00001hl_00002en_autopick.star
picks/09mar16a_00005gr_00003sq_00001hl_00002en_overlay.png
gain_flipx.mrc
gain_20240101_101112.mrc
K3_gain_rot90.mrc
x_defect_map.tif
"""

# Names of samples that have such a word in them.
SAMPLES = """
+again_0001.mrc
+gain_of_function_01.mrc
+gain_0002.mrc
+LPHN3_GAIN_0001.mrc
+hERG_gain-of-function_0003.mrc
+Dalgainian_7.mrc
+atlastin_0001.mrc
+LMM_0001.mrc
+MMM_grid_0002.mrc
+PSII_0001.mrc
+PS_0001.mrc
+CTF4_0001.mrc
+Ctf_0002.mrc
+DW_0001.mrc
+oddskipped_0001.mrc
+evenskipped_1.mrc
+masked_0001.mrc
+Tilesome_0001.mrc
+movie_star_0001.mrc
+thumbprint_0001.mrc
+FoilHole_1.mrc
+FoilHole_1_Data_2.mrc
+ts_001_-21.0.mrc
+ts_001_-21.5.mrc
+even/x_0001.mrc
+mask/x_0001.mrc
+J12/x_0001.mrc
"""

TREES = {name: text for name, text in globals().items()
         if name.isupper() and isinstance(text, str) and name != "PROGRAM"}


def make(directory, names):
    """Makes empty files; returns the paths of those that are micrographs, sorted."""
    wanted = []
    for line in names.split():
        path = directory / line.lstrip("+")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        if line.startswith("+"):
            wanted.append(str(path))
    return sorted(wanted)


def listed(*arguments):
    return sorted(run("pick", "--list", "--diameter", "100", *arguments).stdout.splitlines())


@pytest.mark.parametrize("name", TREES)
def test_exactly_the_averages_are_micrographs(tmp_path, name):
    wanted = make(tmp_path, TREES[name])
    assert listed(tmp_path) == wanted


@pytest.mark.parametrize("name", TREES)
def test_a_session_with_everything_in_it(tmp_path, name):
    """The tree is below directories whose names mean something to a rule, and given from above."""
    above = tmp_path / "powerspectrum/FoilHoles/denoised"
    wanted = make(above, TREES[name])
    assert listed(above) == wanted


def test_the_globs_alone(tmp_path):
    make(tmp_path, RELION)
    every = listed("--set", "input.layout=plain", tmp_path)
    assert every == sorted(str(p) for p in tmp_path.rglob("*.mrc*") if p.is_file())
    spectra = listed("--set", "input.include=*_PS.mrc", tmp_path)
    assert [p for p in every if p.endswith("_PS.mrc")] == spectra
    assert len(listed("--set", "input.include=*.mrc", tmp_path)) == RELION.count("+")


def test_what_is_left_out_is_named(tmp_path):
    make(tmp_path, MOTIONCOR)
    line = ("pickstream: left out: 1 movies, 1 power spectra, 3 half sets, "
            "3 other versions of an exposure")
    assert run("pick", "--list", "--diameter", "100", tmp_path).stderr \
        == f"{line} (--list -v names them)\n"
    done = run("pick", "--list", "-v", "--diameter", "100", tmp_path)
    stem = f"pickstream: {tmp_path}/FoilHole_1_Data_9_fractions"
    assert f"{stem}_EVN.mrc: left out (half_set)" in done.stderr.splitlines()
    assert f"{stem}.mrc: left out (version: {tmp_path}/FoilHole_1_Data_9_fractions_DW.mrc)" \
        in done.stderr.splitlines()
    assert len(done.stderr.splitlines()) == 8


def test_operands_without_micrographs_are_named(tmp_path):
    make(tmp_path, "good/x.mrc bad/x_PS.mrc bad/gain.mrc empty/notes.txt")
    done = run("pick", "--list", "--diameter", "100", tmp_path / "good", tmp_path / "bad",
               tmp_path / "empty")
    assert done.stdout == f"{tmp_path}/good/x.mrc\n"
    assert done.stderr.splitlines()[:2] == [
        f"pickstream: {tmp_path}/bad: no micrographs in it (left out: 1 power spectra, "
        "1 gain and defect references; input.layout, input.exclude)",
        f"pickstream: {tmp_path}/empty: no micrographs in it (input.include)"]
    run("pick", "--list", "--diameter", "100", tmp_path / "bad", status=1)


def test_files_that_are_named_are_taken(tmp_path):
    """A glob of the shell gives all of them: they are picked, and each is reported for what it is."""
    make(tmp_path, "x.mrc x_PS.mrc x_EVN.mrc y.mrc y_DW.mrc")
    files = sorted(tmp_path.glob("*.mrc"))
    done = run("pick", "--list", "--diameter", "100", *files)
    assert done.stdout.splitlines() == [str(path) for path in files]
    assert "1 power spectra, 1 half sets, 1 other versions of an exposure" in done.stderr
    assert run("pick", "--list", "--diameter", "100", tmp_path / "x_PS.mrc").stdout \
        == f"{tmp_path}/x_PS.mrc\n"


# ---- in a stream -----------------------------------------------------------------------------------

SIDE = 420


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    rng = np.random.default_rng(3)
    pixels = rng.normal(100, 10, (SIDE, SIDE)).astype(np.float32)
    return micrographs.write_mrc(tmp_path_factory.mktemp("image") / "x.mrc", pixels).read_bytes()


def skipped_in(log):
    return [line.split("file=")[1].split()[0] for line in log.splitlines()
            if "event=skipped " in line]


def wait_for_skipped(subscriber, count):
    return subscriber.status(lambda status: status["totals"]["skipped"] == count)


def flush(service, subscriber, content, name="zz_DW.mrc"):
    """The names of all outcomes when this one has its own: what was written before is decided."""
    (service.data / name).write_bytes(content)
    outcomes = subscriber.replay_until(lambda outcomes: name in [o.name for o in outcomes])
    assert [o.seq for o in outcomes] == list(range(1, len(outcomes) + 1))
    return [o.name for o in outcomes]


@pytest.mark.parametrize("names", [("x.mrc", "x_DW.mrc"), ("x_DW.mrc", "x.mrc"),
                                   ("y_noDW.mrc", "y.mrc"), ("y.mrc", "y_noDW.mrc"),
                                   ("z_DWS.mrc", "z.mrc", "z_DW.mrc"),
                                   ("u_forctf.mrc", "u_intg.mrc"),
                                   ("v_patch_aligned.mrc", "v_patch_aligned_doseweighted.mrc"),
                                   ("w.tif", "w.mrc", "w_DW.mrc")])
def test_one_of_a_pair_in_either_order(content, names):
    best = {"x": "x_DW.mrc", "y": "y.mrc", "z": "z_DW.mrc", "u": "u_intg.mrc", "w": "w_DW.mrc",
            "v": "v_patch_aligned_doseweighted.mrc"}[names[0][0]]
    with session() as (service, subscriber):
        for name in names:
            (service.data / name).write_bytes(content)
        assert subscriber.outcome().name == best
        wait_for_skipped(subscriber, len(names) - 1)
        assert sorted(skipped_in(service.log_text())) \
            == sorted(f"{service.data}/{name}" for name in names if name != best)
        assert flush(service, subscriber, content) == [best, "zz_DW.mrc"]
        assert sorted(p.name for p in service.picks.glob("*_autopick.star")) \
            == sorted([best.replace(".mrc", "_autopick.star"), "zz_DW_autopick.star"])


def test_pick_replaces_the_picks_of_the_other_version(content, tmp_path):
    """A list with both would have each particle twice."""
    mics, out = tmp_path / "mics", tmp_path / "out"
    mics.mkdir()
    for names in ["x.mrc", "y.mrc"], ["x_DW.mrc"]:
        for name in names:
            (mics / name).write_bytes(content)
        run("pick", "--diameter", "24px", "-o", out, mics)
    assert sorted(p.name for p in out.glob("*_autopick.star")) \
        == ["x_DW_autopick.star", "y_autopick.star"]
    listed_paths = (out / "autopick.star").read_text("utf-8")
    assert "x_DW.mrc" in listed_paths and "y.mrc" in listed_paths and "/x.mrc" not in listed_paths


@pytest.mark.parametrize("alone, company", [("x.mrc", "x_DW.mrc"), ("y_noDW.mrc", "y.mrc")])
def test_one_that_comes_alone_is_picked_and_stays(content, alone, company):
    """Its company has no second outcome, now and after a restart."""
    with Service() as service:
        with Subscriber(service) as subscriber:
            subscriber.connected()
            (service.data / alone).write_bytes(content)
            assert subscriber.outcome().name == alone
            (service.data / company).write_bytes(content)
            wait_for_skipped(subscriber, 1)
            assert skipped_in(service.log_text()) == [f"{service.data}/{company}"]
        assert service.stop() == 0
        service.start()
        with Subscriber(service) as subscriber:
            assert flush(service, subscriber, content) == [alone, "zz_DW.mrc"]
            assert wait_for_skipped(subscriber, 1)
        assert len(skipped_in(service.log_text())) == 1


def test_a_backlog_of_pairs_and_what_is_beside_them(content):
    """Found by a scan; the status, as JSON and as text, and the log have the numbers."""
    service = Service()
    names = ["a.mrc", "a_DW.mrc", "b.mrc", "b_noDW.mrc", "b_PS.mrc", "gain.mrc", "b_EVN.mrc"]
    for name in names:
        (service.data / name).write_bytes(content)
    with service, Subscriber(service) as subscriber:
        outcomes = subscriber.replay_until(lambda outcomes: len(outcomes) == 2)
        assert {o.name for o in outcomes} == {"a_DW.mrc", "b.mrc"}
        status = wait_for_skipped(subscriber, 2)
        assert status["watch"][0]["left_out"] == {"spectrum": 1, "half_set": 1, "reference": 1}
        text = run("status", "-c", service.config).stdout
        assert "left out: 1 power spectra, 1 half sets, 1 gain and defect references" in text
        assert "skipped    2 other versions of an exposure" in text
        assert "event=files_left_out" in service.log_text()


def test_a_rule_can_be_overridden(content):
    with session("input.layout=plain") as (service, subscriber):
        for name in "x.mrc", "x_DW.mrc", "x_PS.mrc":
            (service.data / name).write_bytes(content)
        assert {o.name for o in subscriber.outcomes(3)} == {"x.mrc", "x_DW.mrc", "x_PS.mrc"}


def test_a_version_that_takes_the_name_of_the_other(content):
    """RELION's wrapper of MotionCor2 (3dem/relion, src/motioncorr_runner.cpp): x_DW.mrc replaces
    x.mrc. That is another content of x.mrc."""
    with session() as (service, subscriber):
        (service.data / "x.mrc").write_bytes(content)
        assert subscriber.outcome().name == "x.mrc"
        (service.data / "x_DW.mrc").write_bytes(content)
        wait_for_skipped(subscriber, 1)
        (service.data / "x_DW.mrc").rename(service.data / "x.mrc")
        again = subscriber.outcome()
        assert (again.name, again.revision) == ("x.mrc", 2)


def test_one_that_failed_does_not_stand_for_the_others(content):
    with session() as (service, subscriber):
        (service.data / "x.mrc").write_bytes(b"not a micrograph" * 100)
        assert subscriber.outcome().status == "failed"
        (service.data / "x_DW.mrc").write_bytes(content)
        assert subscriber.outcome().name == "x_DW.mrc"


# ---- the same file ---------------------------------------------------------------------------------


def test_a_session_that_is_copied_back_is_not_picked_again(content):
    names = ["a_DW.mrc", "b_DW.mrc", "c_DW.mrc"]
    with Service() as service:
        with Subscriber(service) as subscriber:
            subscriber.connected()
            for name in names:
                (service.data / name).write_bytes(content)
            subscriber.outcomes(3)
        assert service.stop() == 0
        copy = service.home / "copy"
        shutil.copytree(service.data, copy)  # with the times, as cp -a
        shutil.rmtree(service.data)
        copy.rename(service.data)
        service.start()
        with Subscriber(service) as subscriber:
            assert len(flush(service, subscriber, content)) == 4
            for name in names:  # also while it runs
                shutil.copy2(service.data / name, copy)
                copy.rename(service.data / name)
            assert len(flush(service, subscriber, content, "zzz_DW.mrc")) == 5


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_file_that_becomes_readable_is_picked(content, tmp_path):
    """Without `retry`; as the second attempt at the same revision."""
    service = Service(directory=None)
    program = tmp_path / "pickstream"
    program.write_text(f'#!/bin/sh\nexec setpriv --reuid=65534 --clear-groups {PROGRAM} "$@"\n')
    program.chmod(0o755)
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    service.program = str(program)
    for path in service.home, service.state, service.picks, service.data:
        os.chown(path, 65534, 65534)
    service.log.touch()
    secret = service.data / "x.mrc"
    secret.write_bytes(content)
    secret.chmod(0o600)
    mask = os.umask(0)  # the other user writes to the socket of sd_notify
    service.spawn()
    os.umask(mask)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, service.home)
        stack.callback(service.end)
        subscriber = stack.enter_context(Subscriber(service))
        (failed,) = subscriber.replay_until(lambda outcomes: len(outcomes) == 1)
        assert (failed.status, failed.reason) == ("failed", "no permission to read it")
        secret.chmod(0o644)
        picked = subscriber.replay_until(lambda outcomes: len(outcomes) == 2)[1]
        assert (picked.name, picked.revision) == ("x.mrc", 1)
        assert picked.status != "failed"
