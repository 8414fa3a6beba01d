"""Micrographs without particles, for nulls.py and the ablation table. A kind, a number (the seed)
and a diameter always give the same image."""

import mrcfile
import numpy as np
from made import carbon, crystal, synth, write
from scipy import ndimage

SHAPE = 1100, 1200


def frequencies(shape):
    return np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1]))


def filtered(random, shape, transfer):
    """White noise times a function of the frequency, deviation 1."""
    image = np.fft.irfft2(np.fft.rfft2(random.normal(size=shape)) * transfer, shape)
    return image / image.std()


def phases_randomised(image, seed):
    """The same power spectrum with the phases of white noise."""
    random = np.random.default_rng(seed)
    noise = np.fft.rfft2(random.normal(size=image.shape))
    spectrum = np.abs(np.fft.rfft2(image - image.mean()))
    return np.fft.irfft2(spectrum * noise / np.maximum(np.abs(noise), 1e-9), image.shape)


# ---- noise ---------------------------------------------------------------------------------------

def white(random, shape):
    return random.normal(size=shape)


def pink(random, shape):
    return filtered(random, shape,
                    np.maximum(frequencies(shape), 0.005) ** -random.uniform(0.3, 1))


def blurred(random, shape):
    image = ndimage.gaussian_filter(random.normal(size=shape), random.uniform(1, 4))
    return image / image.std() + 0.05 * random.normal(size=shape)


def poisson(random, shape):
    return random.poisson(random.uniform(0.5, 8), shape).astype("f8")


def ctf(random, shape):
    """Noise that the contrast transfer function has shaped, with its rings, in white noise."""
    frequency = frequencies(shape)
    phase = random.uniform(800, 4000) * frequency**2 + 0.1
    rings = filtered(random, shape, np.sin(phase) * np.exp(-60 * frequency**2))
    return 0.7 * random.normal(size=shape) + 0.7 * rings


def gradients(random, shape):
    """White noise on ice that gets thicker, in a wave and in a plane."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    wave = np.sin(x / random.uniform(200, 700) + random.uniform(0, 6)) * random.uniform(1, 4)
    return random.normal(size=shape) + wave + random.uniform(-4, 4) * y / shape[0]


def stripes(random, shape):
    """One of: waves in one direction, rows with their own offsets, margins of repeated pixels."""
    image = random.normal(size=shape)
    y, x = np.mgrid[: shape[0], : shape[1]]
    kind = random.integers(3)
    if kind == 0:
        angle, period = random.uniform(0, np.pi), random.uniform(15, 150)
        return image + random.uniform(0.2, 1) * np.sin(
            2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    if kind == 1:
        return image + random.uniform(0.2, 1) * random.normal(size=(shape[0], 1))
    margin = int(random.integers(40, 90))
    image = ndimage.gaussian_filter(image, 1.5) * 5
    inner = image[margin:-margin, margin:-margin]
    return np.pad(inner, margin, mode="edge")


NOISES = {function.__name__: function for function in (white, pink, blurred, poisson, ctf,
                                                       gradients, stripes)}

# ---- ice, and what lies on it --------------------------------------------------------------------

THINGS = {"ice": None, "carbon": carbon, "crystal": crystal}
KINDS = [*NOISES, *THINGS]


def empty_ice(program, seed, directory):
    """`pickstream synth` without particles."""
    path, _ = next(synth(program, directory / f"synth{seed}", "--particles", 0, "--size",
                         f"{SHAPE[1]}x{SHAPE[0]}", "--seed", 1000 + seed))
    return path


def write_null(program, kind, seed, diameter, directory):
    """The path of a micrograph without particles; what lies on ice depends on the diameter."""
    random = np.random.default_rng([seed, diameter, KINDS.index(kind)])
    path = directory / f"{kind}_{seed}_{diameter}.mrc"
    if kind in NOISES:
        return write(path, NOISES[kind](random, SHAPE))
    ice = empty_ice(program, 1000 * diameter + seed, directory)
    if THINGS[kind] is None:
        return ice.rename(path)
    image = mrcfile.read(ice).astype("f8")
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype("f8")
    dark, _ = THINGS[kind](random, x, y, diameter, image.std())
    return write(path, image - dark)
