/* Previews: the picture, its message, the limit of unread bytes, the files. */
#include "http/previews.h"
#include "picture/preview.h"
#include "publish/preview_sender.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <png.h>
#include <zmq.h>

#define STREAM "8d7c4f0e-5d0c-4a3b-9a53-0d2a5e3a9b11"

/* ---- the picture ----------------------------------------------------------------------------- */

/* Grey pixels of a PNG file in memory; the caller frees them. */
static unsigned char *decode(const uint8_t *bytes, size_t size, int width, int height)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_memory(&image, bytes, size));
    assert_int_equal(image.format, PNG_FORMAT_GRAY);
    assert_int_equal(image.width, width);
    assert_int_equal(image.height, height);
    unsigned char *pixels = malloc(PNG_IMAGE_SIZE(image));
    assert_non_null(pixels);
    assert_true(png_image_finish_read(&image, NULL, pixels, 0, NULL));
    return pixels;
}

/* A ramp that grows with x, dark in the rows of large y. */
static float *ramp(int width, int height)
{
    float *pixels = malloc((size_t)width * (size_t)height * sizeof *pixels);
    assert_non_null(pixels);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            pixels[(size_t)y * (size_t)width + (size_t)x] =
                (float)x + (y > height * 3 / 4 ? -2 * (float)width : 0);
    return pixels;
}

static void check_size(int width, int height, int bin, int small_bin)
{
    float *pixels = ramp(width, height);
    const struct ps_image image = {
        .pixels = pixels, .type = PS_PIXEL_F32, .width = width, .height = height};
    struct ps_preview preview;
    struct ps_error error;
    assert_int_equal(ps_preview_make(&image, 40, &preview, &error), 0);
    assert_int_equal(preview.bin, bin);
    assert_int_equal(ps_preview_bin(width, height), bin);
    assert_int_equal(preview.width, (width + bin - 1) / bin);
    assert_int_equal(preview.height, (height + bin - 1) / bin);
    assert_true(preview.width <= PS_PREVIEW_SIDE && preview.height <= PS_PREVIEW_SIDE);
    unsigned char *grey = decode(preview.png, preview.size, preview.width, preview.height);
    if (height > 8 && width > 8) {
        int right = preview.width - 2;
        assert_true(grey[right] > grey[1]);
        assert_true(grey[(preview.height - 1) * preview.width + right] < grey[right]);
    }
    free(grey);
    grey = decode(preview.thumbnail, preview.thumbnail_size,
                  (preview.width + small_bin - 1) / small_bin,
                  (preview.height + small_bin - 1) / small_bin);
    free(grey);
    ps_preview_done(&preview);
    ps_preview_done(&preview);
    free(pixels);
}

static void sizes(void **state)
{
    (void)state;
    check_size(1, 1, 1, 1);
    check_size(160, 100, 1, 1);
    check_size(161, 100, 1, 2);
    check_size(1024, 700, 1, 7);
    check_size(1025, 3, 2, 4);
    check_size(700, 2049, 3, 5);
}

/* An image without contrast does not fail. */
static void odd_pixels(void **state)
{
    (void)state;
    float pixels[64 * 32];
    const float values[] = {0, 7, NAN, INFINITY, -INFINITY, 3e38f};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        for (size_t k = 0; k < 64 * 32; k++)
            pixels[k] = values[i];
        const struct ps_image image = {
            .pixels = pixels, .type = PS_PIXEL_F32, .width = 64, .height = 32};
        struct ps_preview preview;
        assert_int_equal(ps_preview_make(&image, 0, &preview, NULL), 0);
        unsigned char *grey = decode(preview.png, preview.size, 64, 32);
        assert_in_range(grey[0], 120, 135);
        free(grey);
        ps_preview_done(&preview);
    }
}

/* ---- publishing ------------------------------------------------------------------------------ */

static const struct ps_preview_facts facts = {.stream = STREAM,
                                              .session = "s1",
                                              .seq = 7,
                                              .path = "/data/a.mrc",
                                              .name = "a.mrc",
                                              .revision = 1,
                                              .width = 4092,
                                              .height = 5760};

/* Bytes instead of a picture. */
static struct ps_preview blank(size_t size)
{
    struct ps_preview preview = {.width = 682, .height = 960, .bin = 6, .size = size};
    preview.png = calloc(1, size);
    assert_non_null(preview.png);
    return preview;
}

/* The size of the next frame; -1: none arrives. */
static int next_frame(void *socket, char *buffer, size_t size)
{
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    if (zmq_poll(&item, 1, 20000) != 1)
        return -1;
    return zmq_recv(socket, buffer, size, 0);
}

static void what_is_not_read_is_bounded(void **state)
{
    (void)state;
    enum { SIZE = 8 << 20, FIT = PS_MAX_OUTLET_BYTES / SIZE, TRIED = FIT + 5 };
    static char buffer[1 << 20];
    struct ps_outlet outlet = {0};
    void *context = zmq_ctx_new();
    void *publish = zmq_socket(context, ZMQ_XPUB);
    void *reader = zmq_socket(context, ZMQ_SUB);
    assert_int_equal(zmq_bind(publish, "inproc://previews"), 0);
    assert_int_equal(zmq_connect(reader, "inproc://previews"), 0);

    /* No subscriber: freed at once. */
    struct ps_preview preview = blank(SIZE);
    assert_true(ps_preview_send(&outlet, publish, &facts, &preview));
    assert_null(preview.png);
    assert_int_equal(outlet.queued_bytes, 0);

    assert_int_equal(zmq_setsockopt(reader, ZMQ_SUBSCRIBE, "preview", 7), 0);
    assert_int_equal(next_frame(publish, buffer, sizeof buffer), 8);
    int sent = 0;
    for (int i = 0; i < TRIED; i++) {
        preview = blank(SIZE);
        sent += ps_preview_send(&outlet, publish, &facts, &preview);
        assert_null(preview.png);
    }
    assert_int_equal(sent, FIT);
    assert_int_equal(outlet.queued_bytes, PS_MAX_OUTLET_BYTES);

    for (int i = 0; i < FIT; i++) {
        assert_int_equal(next_frame(reader, buffer, sizeof buffer), 7);
        int length = next_frame(reader, buffer, sizeof buffer);
        assert_in_range(length, 100, 1000);
        json_t *header = json_loadb(buffer, (size_t)length, 0, NULL);
        assert_int_equal(json_integer_value(json_object_get(header, "seq")), 7);
        json_decref(header);
        assert_int_equal(next_frame(reader, buffer, sizeof buffer), SIZE);
    }
    assert_int_equal(outlet.queued_bytes, 0);
    preview = blank(10);
    assert_true(ps_preview_send(&outlet, publish, &facts, &preview));
    zmq_close(reader);
    zmq_close(publish);
    zmq_ctx_term(context);
    assert_int_equal(outlet.queued_bytes, 0);
}

/* ---- files ----------------------------------------------------------------------------------- */

static char directory[64];

static int make_directory(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/ps-previews-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    char command[100];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static struct ps_previews *open_previews(const char *stream, uint64_t keep, uint64_t last)
{
    struct ps_previews *previews = NULL;
    struct ps_error error;
    if (ps_previews_open(directory, stream, keep, last, &previews, &error) != 0)
        fail_msg("%s", error.message);
    return previews;
}

/* Picture `seq` is `seq` bytes long, its thumbnail one byte longer. */
static void put(struct ps_previews *previews, uint64_t seq)
{
    uint8_t bytes[64] = {0};
    struct ps_preview preview = {
        .png = bytes, .size = seq, .thumbnail = bytes, .thumbnail_size = seq + 1};
    assert_int_equal(ps_previews_stage(previews, (int64_t)seq + 1000, &preview, NULL), 0);
    assert_false(ps_previews_has(previews, seq));
    ps_previews_keep(previews, (int64_t)seq + 1000, seq);
}

static void assert_kept(struct ps_previews *previews, uint64_t seq, bool kept)
{
    assert_int_equal(ps_previews_has(previews, seq), kept);
    for (enum ps_preview_size size = PS_PREVIEW_LARGE; size <= PS_PREVIEW_SMALL; size++) {
        int fd = ps_previews_read(previews, seq, size);
        assert_int_equal(fd >= 0, kept);
        if (fd >= 0) {
            assert_int_equal(lseek(fd, 0, SEEK_END), seq + (size == PS_PREVIEW_SMALL));
            (void)close(fd);
        }
    }
}

static void files(void **state)
{
    (void)state;
    struct ps_previews *previews = open_previews(STREAM, 4, 0);
    for (uint64_t seq = 1; seq <= 10; seq++)
        put(previews, seq);
    for (uint64_t seq = 1; seq <= 12; seq++)
        assert_kept(previews, seq, seq >= 7 && seq <= 10);
    /* One that never gets a seq; one that was dropped. */
    struct ps_preview nothing = {.png = (uint8_t *)"", .thumbnail = (uint8_t *)""};
    assert_int_equal(ps_previews_stage(previews, 5, &nothing, NULL), 0);
    assert_int_equal(ps_previews_stage(previews, 6, &nothing, NULL), 0);
    ps_previews_drop(previews, 6);
    ps_previews_keep(previews, 6, 11); /* there is none: only 7 is removed */
    assert_kept(previews, 7, false);
    ps_previews_close(previews);

    previews = open_previews(STREAM, 2, 10);
    char path[200];
    (void)snprintf(path, sizeof path, "%s/previews/row-5.png", directory);
    assert_int_equal(access(path, F_OK), -1);
    assert_kept(previews, 8, false);
    assert_kept(previews, 9, true);
    ps_previews_close(previews);

    /* A journal that lost its end: files of later seqs belong to no outcome. */
    previews = open_previews(STREAM, 2, 9);
    assert_kept(previews, 9, true);
    assert_kept(previews, 10, false);
    ps_previews_close(previews);

    previews = open_previews("00000000-0000-4000-8000-000000000000", 2, 9);
    assert_kept(previews, 9, false);
    ps_previews_close(previews);
    ps_previews_close(NULL);
}

static void no_directory(void **state)
{
    (void)state;
    struct ps_previews *previews = NULL;
    struct ps_error error;
    assert_int_equal(ps_previews_open("/nonexistent", STREAM, 1, 0, &previews, &error),
                     PS_E_SYSTEM);
    assert_string_equal(error.message, "/nonexistent/previews: No such file or directory");
    assert_null(previews);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(odd_pixels),
        cmocka_unit_test(what_is_not_read_is_bounded),
        cmocka_unit_test_setup_teardown(files, make_directory, remove_directory),
        cmocka_unit_test(no_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
