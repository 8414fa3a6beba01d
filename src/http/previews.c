#include "http/previews.h"

#include "base/error.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME = 40 };

static const char *const endings[] = {
    [PS_PREVIEW_LARGE] = ".png", [PS_PREVIEW_SMALL] = ".small.png"};

struct ps_previews {
    char *path;
    char stream[64];
    int directory; /* its number stays the same */
    uint64_t keep;
};

static void seq_name(uint64_t seq, enum ps_preview_size size, char ret[NAME])
{
    (void)snprintf(ret, NAME, "%" PRIu64 "%s", seq, endings[size]);
}

static void row_name(int64_t row, enum ps_preview_size size, char ret[NAME])
{
    (void)snprintf(ret, NAME, "row-%" PRId64 "%s", row, endings[size]);
}

/* The seq in the name of a preview file; 0: none. */
static uint64_t seq_of(const char *name)
{
    uint64_t seq = ps_text_number_between(name, "", endings[PS_PREVIEW_LARGE]);
    return seq ? seq : ps_text_number_between(name, "", endings[PS_PREVIEW_SMALL]);
}

static bool is_ours(const char *name)
{
    return seq_of(name) > 0 || strncmp(name, "row-", 4) == 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* True if the existing files belong to this stream. Otherwise assigns the directory to it. */
static bool claim(const struct ps_previews *previews)
{
    const char *stream = previews->stream;
    char text[64] = "";
    int fd = openat(previews->directory, "stream", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return false;
    size_t length = strlen(stream);
    bool same = read(fd, text, sizeof text) == (ssize_t)length && memcmp(text, stream, length) == 0;
    /* If this fails, the next start finds another stream and removes the files. */
    if (!same && ftruncate(fd, 0) == 0)
        (void)!pwrite(fd, stream, length, 0);
    (void)close(fd);
    return same;
}

static void clean(const struct ps_previews *previews, bool same_stream, uint64_t last_seq)
{
    int fd = openat(previews->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (!directory) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        uint64_t seq = seq_of(entry->d_name);
        bool kept = same_stream && seq > 0 && seq <= last_seq && last_seq - seq < previews->keep;
        if (is_ours(entry->d_name) && !kept)
            (void)unlinkat(previews->directory, entry->d_name, 0);
    }
    (void)closedir(directory);
}

static int open_directory(const char *path)
{
    (void)mkdir(path, 0755);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Makes the directory again if it was deleted. Other threads use its descriptor: it is replaced at
 * once. */
static void make_again(const struct ps_previews *previews)
{
    int fresh = open_directory(previews->path);
    if (fresh < 0)
        return; /* the next write reports it */
    (void)dup3(fresh, previews->directory, O_CLOEXEC);
    (void)close(fresh);
    (void)claim(previews);
}

int ps_previews_open(const char *state_directory, const char *stream, uint64_t keep,
                     uint64_t last_seq, struct ps_previews **ret_previews, struct ps_error *error)
{
    struct ps_previews *previews = calloc(1, sizeof *previews);
    if (!previews || asprintf(&previews->path, "%s/previews", state_directory) < 0) {
        free(previews);
        return ps_fail_memory(error, sizeof *previews, "previews");
    }
    previews->keep = keep;
    (void)snprintf(previews->stream, sizeof previews->stream, "%s", stream);
    previews->directory = open_directory(previews->path);
    if (previews->directory < 0) {
        int status = ps_fail(error, PS_E_SYSTEM, "%s: %s", previews->path, strerror(errno));
        free(previews->path);
        free(previews);
        return status;
    }
    clean(previews, claim(previews), last_seq);
    *ret_previews = previews;
    return 0;
}

void ps_previews_close(struct ps_previews *previews)
{
    if (!previews)
        return;
    (void)close(previews->directory);
    free(previews->path);
    free(previews);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int create_file(const struct ps_previews *previews, const char *name)
{
    return openat(previews->directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                  0644);
}

static int write_file(const struct ps_previews *previews, const char *name, const uint8_t *bytes,
                      size_t size, struct ps_error *error)
{
    int fd = create_file(previews, name);
    if (fd < 0 && errno == ENOENT) {
        make_again(previews);
        fd = create_file(previews, name);
    }
    if (fd < 0)
        return ps_fail(error, PS_E_SYSTEM, "previews/%s: %s", name, strerror(errno));
    size_t done = 0;
    int failure = 0;
    while (done < size && !failure) {
        ssize_t written = write(fd, bytes + done, size - done);
        if (written > 0)
            done += (size_t)written;
        else if (written < 0 && errno != EINTR)
            failure = errno;
    }
    if (close(fd) != 0 && !failure)
        failure = errno;
    return failure ? ps_fail(error, PS_E_SYSTEM, "previews/%s: %s", name, strerror(failure)) : 0;
}

int ps_previews_stage(struct ps_previews *previews, int64_t row, const struct ps_preview *preview,
                      struct ps_error *error)
{
    char large[NAME], small[NAME];
    row_name(row, PS_PREVIEW_LARGE, large);
    row_name(row, PS_PREVIEW_SMALL, small);
    int status = write_file(previews, large, preview->png, preview->size, error);
    if (status == 0)
        status = write_file(previews, small, preview->thumbnail, preview->thumbnail_size, error);
    if (status)
        ps_previews_drop(previews, row);
    return status;
}

void ps_previews_keep(struct ps_previews *previews, int64_t row, uint64_t seq)
{
    for (enum ps_preview_size size = PS_PREVIEW_LARGE; size <= PS_PREVIEW_SMALL; size++) {
        char staged[NAME], name[NAME];
        row_name(row, size, staged);
        seq_name(seq, size, name);
        (void)renameat(previews->directory, staged, previews->directory, name);
        if (seq > previews->keep) {
            seq_name(seq - previews->keep, size, name);
            (void)unlinkat(previews->directory, name, 0);
        }
    }
}

void ps_previews_drop(struct ps_previews *previews, int64_t row)
{
    for (enum ps_preview_size size = PS_PREVIEW_LARGE; size <= PS_PREVIEW_SMALL; size++) {
        char staged[NAME];
        row_name(row, size, staged);
        (void)unlinkat(previews->directory, staged, 0);
    }
}

bool ps_previews_has(struct ps_previews *previews, uint64_t seq)
{
    char name[NAME];
    seq_name(seq, PS_PREVIEW_LARGE, name);
    return faccessat(previews->directory, name, R_OK, 0) == 0;
}

int ps_previews_read(struct ps_previews *previews, uint64_t seq, enum ps_preview_size size)
{
    char name[NAME];
    seq_name(seq, size, name);
    return openat(previews->directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}
