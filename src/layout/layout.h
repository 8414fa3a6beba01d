/* Decides by path and siblings which files below a given directory are micrographs.
 *
 * The globs input.include and input.exclude come first. With input.layout = auto the rules below
 * then leave out what acquisition and motion correction write beside the averages: overviews,
 * movies, power spectra, half sets, references, thumbnails, and pictures derived from a micrograph.
 * They compare whole parts of a name, between '_', '-' and '.', so that "again_0001" and
 * "LPHN3_GAIN_0001" are micrographs. A part that can also be a word of a sample's name needs
 * evidence: its place in the name, or a file beside it that only the program in question writes.
 *
 * Only the part of a path below the given directory is judged: a user who names Movies_PS/ or
 * average/even/ means it. A glob of input.include that says more than an extension (*_noDW.mrc)
 * overrides the rules for the names that it matches.
 *
 * versions.h decides between several averages of one exposure.
 */
#ifndef PS_LAYOUT_LAYOUT_H
#define PS_LAYOUT_LAYOUT_H

#include "config/config.h"

#include <stddef.h>

/* The rules, with the key in the status message and the plural for people. */
#define PS_RULE_MAP(X)                                                                             \
    X(EXCLUDED, "exclude", "matching input.exclude")                                               \
    X(OVERVIEW, "overview", "overviews")                                                           \
    X(MOVIE, "movie", "movies")                                                                    \
    X(SPECTRUM, "spectrum", "power spectra")                                                       \
    X(HALF, "half_set", "half sets")                                                               \
    X(REFERENCE, "reference", "gain and defect references")                                        \
    X(THUMBNAIL, "thumbnail", "thumbnails")                                                        \
    X(DERIVED, "derived", "denoised, masks and other derived images")                              \
    X(VERSION, "version", "other versions of an exposure")

enum ps_rule {
    PS_RULE_NONE,  /* a micrograph */
    PS_RULE_OTHER, /* not a name of a micrograph (input.include); not counted */
#define X(NAME, key, text) PS_RULE_##NAME,
    PS_RULE_MAP(X)
#undef X
        PS_RULE_COUNT
};

/* Numbers of files left out, by rule. */
struct ps_rule_counts {
    size_t of[PS_RULE_COUNT];
};

/* The key of a rule, as "half_set"; and the plural, as "half sets". "" for the first two. */
const char *ps_rule_key(enum ps_rule rule);
const char *ps_rule_text(enum ps_rule rule);

/* The rule that leaves out the file at `path`, but for PS_RULE_VERSION. The part below the given
 * directory begins at path + below. Looks for sibling files only if the name is ambiguous. */
enum ps_rule ps_layout_judge(const struct ps_config *config, const char *path, size_t below);

/* The same without the globs and without evidence beside the file: what a file that the user named
 * looks like. */
enum ps_rule ps_layout_looks_like(const char *path);

/* True if the rules decide about files of this name (without the directory): input.layout is auto
 * and no specific glob of input.include matches. */
bool ps_layout_has_rules(const struct ps_config *config, const char *name);

/* Writes "3 power spectra, 1 gain and defect references" into `text`, "" if all are 0; returns the
 * total. */
size_t ps_rule_counts_text(const struct ps_rule_counts *counts, char *text, size_t size);

#endif
