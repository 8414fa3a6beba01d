/* The names of files of picks: no two micrographs share one.
 *
 * The files of `x.mrc` are x_autopick.star, x.box and so on, as RELION expects them: the extension
 * of a micrograph is replaced by the suffix of the format. What precedes the suffix is the stem.
 * Other micrographs can want the same stem: x.tif, or the x.mrc of another directory in another
 * run. The first one that is written keeps it, and each later one gets its whole name (x.tif), or
 * that with a hash of its path (x.tif-1f2e3d4c). A stem that is too long for the file system is cut
 * and ends with a hash of the whole.
 *
 * Who has which stem is recorded in `.pickstream-names` in the directory of the files, so that a
 * micrograph keeps its names in later runs, and runs in parallel, on several machines too, agree. A
 * line has a stem and the path of its micrograph, both as in base/percent.h, and a tab between
 * them; the last line of a stem counts. If all files of a stem were removed, it can be taken by
 * another micrograph.
 *
 * Two paths are the same micrograph if they are the same text without "." and empty components, if
 * one is relative and the other one ends with it, or if they have the same name in directories that
 * are the same one on this machine.
 * Files that no line claims, of an earlier version or another program, are overwritten.
 */
#ifndef PS_PICKS_NAMES_H
#define PS_PICKS_NAMES_H

#include "pickstream.h"

#include <stdbool.h>

/* What is known of the records. Threads can share it. */
struct ps_names;

enum ps_names_kind {
    PS_NAMES_LOCAL,   /* relative paths begin at the working directory */
    PS_NAMES_REMOTE,  /* relative paths begin elsewhere */
    PS_NAMES_PRIVATE, /* only different within this process: nothing is recorded, and different
                         paths are different micrographs */
};

/* PS_E_NOMEM, PS_E_SYSTEM. */
int ps_names_new(enum ps_names_kind kind, struct ps_names **ret_names, struct ps_error *error);
void ps_names_free(struct ps_names *names);

/* A stem that is being used. */
struct ps_claim {
    char *stem;   /* with its directory; the suffix of a format makes it the path of a file */
    bool renamed; /* the usual stem belongs to another micrograph */
    int fd;
};

/* Gives the micrograph at `path` a stem for its files below `directory`, where `name` says, and
 * makes that directory. Nobody else takes the stem until ps_claim_done(); write the files before
 * that. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_names_claim(struct ps_names *names, const char *directory, const char *name,
                   const char *path, struct ps_claim *ret_claim, struct ps_error *error);
void ps_claim_done(struct ps_claim *claim);

/* Finds the stem that the micrograph has, or its usual one if that is not claimed. `*ret_stem` is
 * to be freed; NULL: it has none, so it has no files. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_names_find(struct ps_names *names, const char *directory, const char *name, const char *path,
                  char **ret_stem, struct ps_error *error);

#endif
