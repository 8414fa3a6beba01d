#include "service/reread.h"

#include "base/error.h"
#include "watch/job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool ps_reread_is_needed(const struct ps_config *config, const struct ps_outcome_record *record)
{
    return config->output.extract && record->status == PS_OUTCOME_PICKED &&
           record->result.count > 0;
}

/* PS_E_INPUT: the file at the path of the record has another content than this outcome. */
static int check(struct ps_journal *journal, const struct ps_outcome_record *record,
                 struct ps_error *error)
{
    struct stat info;
    uint64_t latest = 0;
    if (stat(record->path, &info) != 0)
        return ps_fail(error, errno == ENOENT || errno == ENOTDIR ? PS_E_INPUT : PS_E_SYSTEM,
                       "%.200s: particles not extracted: %s", record->path, strerror(errno));
    PS_TRY(ps_journal_find(journal, record->path, &latest, error));
    const struct ps_identity identity = ps_identity_of(&info);
    if (latest != record->seq || !ps_journal_done(journal, record->path, &identity))
        return ps_fail(error, PS_E_INPUT, "%.200s: particles not extracted: the file has changed",
                       record->path);
    return 0;
}

int ps_reread(struct ps_journal *journal, const struct ps_config *config,
              struct ps_outcome_record *record, struct ps_error *error)
{
    const struct ps_read_options options = {.movies = config->input.movies,
                                            .max_pixels = config->compute.max_pixels};
    struct ps_micrograph *read = NULL;
    struct ps_image *image = &record->micrograph.image;
    PS_TRY(check(journal, record, error));
    PS_TRY(ps_micrograph_read(record->path, &options, &read, error));
    int status = 0;
    if (read->image.width != image->width || read->image.height != image->height) {
        status = ps_fail(error, PS_E_INPUT, "%.200s: particles not extracted: %d x %d px expected",
                         record->path, image->width, image->height);
    } else {
        free(record->micrograph.pixels);
        record->micrograph.pixels = read->pixels;
        image->pixels = read->pixels;
        image->type = read->image.type;
        read->pixels = NULL;
    }
    ps_micrograph_free(read);
    return status;
}
