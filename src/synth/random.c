#include "synth/random.h"

#include <math.h>

static const uint64_t GOLDEN_GAMMA = 0x9e3779b97f4a7c15;

/* The output function of splitmix64 (Steele, Lea & Flood 2014; constants by Stafford). */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

struct ps_random ps_random_new(uint64_t seed, uint64_t index, uint64_t stream)
{
    uint64_t splitmix = mix(mix(mix(seed + GOLDEN_GAMMA) + index + GOLDEN_GAMMA) + stream);
    struct ps_random random = {.has_spare = false};
    for (int i = 0; i < 4; i++)
        random.state[i] = mix(splitmix += GOLDEN_GAMMA);
    return random;
}

uint64_t ps_random_bits(struct ps_random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double ps_random_uniform(struct ps_random *random, double low, double high)
{
    return low + (high - low) * (double)(ps_random_bits(random) >> 11) * 0x1p-53;
}

double ps_random_normal(struct ps_random *random)
{
    if (random->has_spare) {
        random->has_spare = false;
        return random->spare;
    }
    /* 1 - u lies in (0, 1]: its logarithm is finite. */
    double radius = sqrt(-2 * log(1 - ps_random_uniform(random, 0, 1)));
    double angle = ps_random_uniform(random, 0, 2 * M_PI);
    double sine, cosine;
    sincos(angle, &sine, &cosine);
    random->spare = radius * sine;
    random->has_spare = true;
    return radius * cosine;
}

size_t ps_random_poisson(struct ps_random *random, double mean)
{
    /* Arrivals within `mean` units of time, at rate 1. */
    size_t count = 0;
    double time = -log(1 - ps_random_uniform(random, 0, 1));
    while (time < mean) {
        count++;
        time -= log(1 - ps_random_uniform(random, 0, 1));
    }
    return count;
}
