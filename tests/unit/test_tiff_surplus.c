/* Images that the directories of a TIFF do not describe: a movie is never read as its first frame,
 * and what is not a frame is no movie. */
#include "image/reader.h"
#include "image/tiff_surplus.h"

#include "tiff_file.h"

enum { FRAME_BYTES = 64 * 40 * 2 };

static const struct spec micrograph = {.width = 64,
                                       .height = 40,
                                       .bits = 16,
                                       .format = SAMPLEFORMAT_INT,
                                       .photometric = PHOTOMETRIC_MINISBLACK};

/* The file with `bytes` more at its end. */
static struct file make_longer(const struct spec *spec, size_t bytes)
{
    struct file file = make_file(spec);
    file.bytes = realloc(file.bytes, file.length + bytes);
    memset(file.bytes + file.length, 7, bytes);
    file.length += bytes;
    return file;
}

/* Reads the file as one micrograph, frees it, and finds the text in the warning ("": there is
 * none). */
static void accept(struct file file, const char *warning)
{
    struct ps_micrograph *m = NULL;
    struct ps_error error = {0};
    if (ps_micrograph_parse(file.bytes, file.length, &skip_movies, &m, &error))
        fail_msg("%s", error.message);
    assert_int_equal(m->frames, 1);
    if (!strstr(m->warning, warning) || !*warning != !*m->warning)
        fail_msg("warning \"%s\", expected \"%s\"", m->warning, warning);
    ps_micrograph_free(m);
    free(file.bytes);
}

static void refuse_movie(struct file file, int images)
{
    char message[256];
    (void)snprintf(message, sizeof message,
                   "movie of %d frames, 1 of them in its directories: skipped; only a TIFF with a "
                   "directory for each frame can be added up",
                   images);
    struct file copy = {malloc(file.length), file.length};
    memcpy(copy.bytes, file.bytes, file.length);
    refuse(copy, &sum_movies, message);
    refuse(file, &skip_movies, message);
}

static void test_what_descriptions_declare(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t images;
    } cases[] = {
        {"", 0},
        {"SerialEM: Dose rate 12 el/pix/s; images=3", 0},
        {"ImageJ=1.53t\nimages=3\nslices=3\nloop=false\n", 3},
        {"ImageJ=1.53t\r\nunit=nm\r\nimages=12\r\nchannels=2\r\nframes=6\r\n", 12},
        {"ImageJ=1.11a\nslices=7\nframes=2\n", 14},
        {"ImageJ=1.53t\nmin=0\nmax=images=5\n", 1},
        {"ImageJ=\nimages=99999999999999999999999", UINT32_MAX},
        {"ImageJ=\nchannels=4000000000\nslices=4000000000\nframes=4000000000", UINT32_MAX},
        {"<?xml version=\"1.0\"?><OME><Image><Pixels SizeX=\"64\" SizeY=\"40\" SizeZ=\"5\" "
         "SizeC=\"1\" SizeT=\"4\"/></Image></OME>",
         20},
        {"<OME><Image><Pixels SizeX='64' SizeY='40' SizeT='1'/><Pixels SizeT='9'/></Image></OME>",
         1},
        {"<OME><Image><Pixels SizeT=\"4\"", 0},
        {"{\"shape\": [3, 40, 64], \"truncated\": true}", 3},
        {"{\"shape\": [40, 64]}", 1},
        {"{\"shape\": [41, 64]}", 0},
        {"{\"shape\": [", 0},
        {"{\"shape\": [18446744073709551615, 4294967295, 4294967295]}", UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (ps_tiff_declared_images(cases[i].text, 64 * 40) != cases[i].images)
            fail_msg("%s: %llu", cases[i].text,
                     (unsigned long long)ps_tiff_declared_images(cases[i].text, 64 * 40));
}

static void test_stacks_with_one_directory(void **state)
{
    (void)state;
    static const char *const modes[] = {"l", "b", "l8", "b8"};
    static const char *const descriptions[] = {
        "ImageJ=1.53t\nimages=4\nslices=4\n",
        "<OME><Image><Pixels SizeX=\"64\" SizeY=\"40\" SizeT=\"4\"/></Image></OME>",
        "{\"shape\": [4, 40, 64], \"truncated\": true}", NULL, /* the length of the file says it */
    };
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 4; k++) {
            struct spec spec = micrograph;
            spec.mode = modes[i];
            spec.description = descriptions[k];
            spec.rows_per_strip = k == 1 ? 7 : 0;
            refuse_movie(make_longer(&spec, (size_t)3 * FRAME_BYTES), 4);
            refuse_movie(make_longer(&spec, (size_t)3 * FRAME_BYTES + 300), 4);
        }
    }
    /* A description is right about the number where frames differ in length, or are cut off. */
    struct spec spec = micrograph;
    spec.description = descriptions[0];
    refuse_movie(make_longer(&spec, (size_t)FRAME_BYTES * 5 / 2), 4);
    spec.compression = COMPRESSION_ADOBE_DEFLATE;
    refuse_movie(make_longer(&spec, (size_t)3 * FRAME_BYTES), 4);
}

static void test_a_movie_with_more_frames_than_directories(void **state)
{
    (void)state;
    struct spec spec = micrograph;
    spec.pages = 2;
    refuse(make_longer(&spec, (size_t)2 * FRAME_BYTES), &sum_movies,
           "movie of 4 frames, 2 of them in its directories: skipped; only a TIFF with a directory "
           "for each frame can be added up");
}

static void test_doubtful_files_are_picked_with_a_warning(void **state)
{
    (void)state;
    struct spec spec = micrograph;
    accept(make_longer(&spec, (size_t)FRAME_BYTES * 5 / 2),
           " bytes of the TIFF are outside its directories: perhaps frames of a movie; only "
           "what the directories describe is picked");
    spec.compression = COMPRESSION_ADOBE_DEFLATE;
    accept(make_longer(&spec, FRAME_BYTES),
           " bytes of the TIFF are outside its directories: perhaps frames");
    spec = micrograph;
    spec.description = "ImageJ=1.53t\nimages=4\nslices=4\n";
    accept(make_file(&spec),
           "the description of the TIFF says 4 images, 1 in the file: picked as it is");
}

static void test_ordinary_files_are_not_suspected(void **state)
{
    (void)state;
    struct spec spec = micrograph;
    accept(make_longer(&spec, FRAME_BYTES - 600), "");
    spec.profile_bytes = 3 * FRAME_BYTES; /* metadata longer than the image */
    accept(make_file(&spec), "");
    accept(make_longer(&spec, 500), "");
    spec.mode = "b8";
    accept(make_file(&spec), "");
    spec = micrograph;
    spec.pages = 3;
    spec.subfile_type[1] = FILETYPE_REDUCEDIMAGE;
    spec.subfile_type[2] = FILETYPE_MASK;
    accept(make_file(&spec), "");
    spec.compression = COMPRESSION_LZW;
    accept(make_file(&spec), "");
    spec = micrograph;
    spec.description = "ImageJ=1.53t\nimages=1\nunit=nm\n";
    accept(make_file(&spec), "");
    spec.description = "images=40\nframes=40";
    accept(make_file(&spec), "");
}

/* A source whose read number `failing` fails, as that of a share that is gone for a moment. */
static struct ps_source whole;
static int reads, failing;

static int read_but_one(const struct ps_source *source, uint64_t offset, void *buffer,
                        size_t length, struct ps_error *error)
{
    (void)source;
    if (++reads == failing) {
        *error = (struct ps_error){.code = PS_E_SYSTEM, .message = "cannot read: gone"};
        return PS_E_SYSTEM;
    }
    return whole.read_at(&whole, offset, buffer, length, error);
}

/* Each read fails once: that is the error, and never one of the file. */
static void test_a_failed_read_is_no_verdict(void **state)
{
    (void)state;
    struct spec movie = micrograph;
    movie.pages = 3;
    movie.rows_per_strip = 7;
    struct spec profile = micrograph;
    profile.profile_bytes = 3 * FRAME_BYTES; /* explained by a directory, if that can be read */
    const struct spec *const specs[] = {&movie, &profile};
    for (size_t i = 0; i < 2; i++) {
        struct file file = make_file(specs[i]);
        ps_source_memory(file.bytes, file.length, &whole);
        struct ps_source source = whole;
        source.read_at = read_but_one;
        failing = 0;
        do {
            struct ps_micrograph *m = NULL;
            struct ps_error error = {0};
            failing++;
            reads = 0;
            const int code = ps_reader_tiff.read(&source, &sum_movies, &m, &error);
            if (code != (reads < failing ? 0 : PS_E_SYSTEM))
                fail_msg("read %d of file %zu: %d: %s", failing, i, code, error.message);
            ps_micrograph_free(m);
        } while (reads >= failing);
        assert_in_range(failing, 10, 1000);
        free(file.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_descriptions_declare),
        cmocka_unit_test(test_stacks_with_one_directory),
        cmocka_unit_test(test_a_movie_with_more_frames_than_directories),
        cmocka_unit_test(test_doubtful_files_are_picked_with_a_warning),
        cmocka_unit_test(test_ordinary_files_are_not_suspected),
        cmocka_unit_test(test_a_failed_read_is_no_verdict),
    };
    return cmocka_run_group_tests_name("tiff_surplus", tests, NULL, NULL);
}
