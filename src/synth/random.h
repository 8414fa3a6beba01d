/* Reproducible random numbers: xoshiro256** (Blackman & Vigna, "Scrambled linear
 * pseudorandom number generators", ACM Trans. Math. Softw. 47 (2021) 36), seeded through
 * splitmix64 as its authors recommend, and the Box-Muller transform.
 *
 * (seed, index, stream) identifies a generator. Micrograph `index` draws its noise, its scene and
 * its particles from separate streams, so that an additional contaminant does not change the noise,
 * and micrograph 7 does not depend on the six before it. Integers are exact; normal deviates use
 * log, sin and cos, whose last bit depends on libm. */
#ifndef PS_SYNTH_RANDOM_H
#define PS_SYNTH_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ps_random {
    uint64_t state[4];
    double spare; /* the second deviate of a Box-Muller pair */
    bool has_spare;
};

/* Makes the generator with this identity, at its start. */
struct ps_random ps_random_new(uint64_t seed, uint64_t index, uint64_t stream);

uint64_t ps_random_bits(struct ps_random *random);

/* Uniform on [low, high), 53 bits. */
double ps_random_uniform(struct ps_random *random, double low, double high);

/* Mean 0, standard deviation 1. */
double ps_random_normal(struct ps_random *random);

/* Poisson distributed, in time proportional to the mean. */
size_t ps_random_poisson(struct ps_random *random, double mean);

#endif
