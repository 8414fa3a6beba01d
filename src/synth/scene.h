/* The layout of a synthetic micrograph: particles, ice crystals, the edge of the carbon film.
 *
 * Invariants: every particle centre is at least half a diameter inside the micrograph, at least
 * PS_SCENE_SPACING diameters from every other one, and outside of crystals and carbon, so that
 * every particle in the truth is visible. Coordinates are in px, (0, 0) is the centre of the first
 * stored pixel; they are multiples of 1/64 px, so that six decimals represent them exactly. */
#ifndef PS_SYNTH_SCENE_H
#define PS_SYNTH_SCENE_H

#include "base/error.h"
#include "synth/random.h"

/* Minimum distance between centres, in diameters: particles do not touch. */
#define PS_SCENE_SPACING 1.1

struct ps_centre {
    double x;
    double y;
};

/* An ice crystal: a convex polygon, as an intersection of half planes. */
enum { PS_CRYSTAL_SIDES = 8 };
struct ps_crystal {
    struct ps_centre centre;
    int sides;
    double normal_x[PS_CRYSTAL_SIDES];
    double normal_y[PS_CRYSTAL_SIDES];
    double offset[PS_CRYSTAL_SIDES]; /* px from the centre */
    double reach;                    /* px, distance of the corners from the centre */
    double darkness;                 /* standard deviations of the noise */
};

/* The carbon film is everything outside a round hole. */
struct ps_hole {
    struct ps_centre centre;
    double radius; /* px; 0: no carbon */
};

struct ps_scene {
    struct ps_centre *particles; /* owned */
    size_t particle_count;
    struct ps_crystal *crystals; /* owned */
    size_t crystal_count;
    struct ps_hole hole;
};

struct ps_scene_options {
    int width;          /* px */
    int height;         /* px */
    double diameter;    /* of a particle, px */
    double particles;   /* mean number; fewer if no more fit */
    size_t crystals;    /* number */
    double hole_radius; /* px; 0: no carbon */
};

/* Draws the scene of micrograph (seed, index); the options must be valid (ps_synth_validate).
 * PS_E_NOMEM. */
int ps_scene_init(struct ps_scene *ret_scene, const struct ps_scene_options *options, uint64_t seed,
                  uint64_t index, struct ps_error *error);
void ps_scene_done(struct ps_scene *scene);

/* Distance from the crystal's edge in px; negative inside; outside a lower bound. */
double ps_crystal_distance(const struct ps_crystal *crystal, double x, double y);

/* Distance from the carbon's edge in px; negative on the carbon; infinite without carbon. */
double ps_hole_distance(const struct ps_hole *hole, double x, double y);

#endif
