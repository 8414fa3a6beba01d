/* The independent streams of random numbers of one micrograph (random.h). The result of a --seed
 * depends on their numbers: add new ones at the end, never renumber. */
#ifndef PS_SYNTH_STREAMS_H
#define PS_SYNTH_STREAMS_H

enum ps_stream {
    PS_STREAM_OPTICS,
    PS_STREAM_CARBON,
    PS_STREAM_CRYSTALS,
    PS_STREAM_PLACES,
    PS_STREAM_ORIENTATIONS,
    PS_STREAM_NOISE,
    PS_STREAM_CARBON_TEXTURE,
    PS_STREAM_ICE,
};

#endif
