#include "golden.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_SIZE = 4096 };

const char *golden_directory(void)
{
    static char directory[PATH_SIZE];
    const char *data = getenv("PICKSTREAM_DATA");
    (void)snprintf(directory, sizeof directory, "%s/reference/golden", data ? data : "../shared");
    return access(directory, R_OK) == 0 ? directory : NULL;
}

static void case_path(char *ret_path, const char *name, const char *file)
{
    int length = snprintf(ret_path, PATH_SIZE, "%s/%s/%s", golden_directory(), name, file);
    assert_true(length > 0 && length < PATH_SIZE);
}

static void set(struct ps_config *config, const char *key, const char *value)
{
    struct ps_error error;
    if (ps_config_set(config, key, value, &error))
        fail_msg("%s", error.message);
}

static void set_number(struct ps_config *config, const char *key, const json_t *meta,
                       const char *name, const char *unit)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%lld%s",
                   (long long)json_integer_value(json_object_get(meta, name)), unit);
    set(config, key, text);
}

static void read_centres(struct golden_case *golden)
{
    char path[PATH_SIZE];
    case_path(path, golden->name, "centers_xy.txt");
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    golden->centres = calloc(golden->picks + 1, sizeof *golden->centres);
    size_t count = 0;
    int x;
    int y;
    while (fscanf(file, "%d %d", &x, &y) == 2) {
        assert_true(count < golden->picks);
        golden->centres[count][0] = x;
        golden->centres[count][1] = y;
        count++;
    }
    assert_int_equal(count, golden->picks);
    (void)fclose(file);
}

struct golden_case golden_open(const char *name)
{
    struct golden_case golden = {.name = name, .config = ps_config_new()};
    char path[PATH_SIZE];
    case_path(path, name, "meta.json");
    json_error_t json_error;
    json_t *meta = json_load_file(path, 0, &json_error);
    if (!meta)
        fail_msg("%s: %s", path, json_error.text);
    set(golden.config, "picker.profile", "aspire");
    set_number(golden.config, "picker.particle_diameter", meta, "particle_size", "px");
    set_number(golden.config, "picker.tau1", meta, "tau1", "");
    set_number(golden.config, "picker.tau2", meta, "tau2", "");
    golden.picks = (size_t)json_integer_value(json_object_get(meta, "picks"));
    golden.intercept = json_real_value(json_object_get(meta, "svm_intercept"));
    const json_t *support = json_object_get(meta, "n_support");
    for (size_t i = 0; i < 2; i++)
        golden.support[i] = (int)json_integer_value(json_array_get(support, i));
    golden.segmentation_side =
        (int)json_integer_value(json_array_get(json_object_get(meta, "segmentation_shape"), 0));
    case_path(path, name, json_string_value(json_object_get(meta, "micrograph")));
    json_decref(meta);
    struct ps_read_options options = {.movies = PS_MOVIES_SKIP,
                                      .max_pixels = golden.config->compute.max_pixels};
    struct ps_error error;
    if (ps_micrograph_read(path, &options, &golden.micrograph, &error))
        fail_msg("%s", error.message);
    read_centres(&golden);
    return golden;
}

void golden_close(struct golden_case *golden)
{
    free(golden->centres);
    ps_micrograph_free(golden->micrograph);
    ps_config_free(golden->config);
}

/* The data of an .npy file, to be freed, and its element type and length. */
static void *read_npy(const struct golden_case *golden, const char *name, char *ret_type,
                      size_t *ret_bytes)
{
    char path[PATH_SIZE];
    case_path(path, golden->name, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s: cannot be opened", path);
    unsigned char head[10];
    assert_int_equal(fread(head, 1, sizeof head, file), sizeof head);
    assert_memory_equal(head, "\x93NUMPY\x01", 7);
    size_t header_size = (size_t)head[8] + 256U * head[9];
    char *header = calloc(header_size + 1, 1);
    assert_int_equal(fread(header, 1, header_size, file), header_size);
    assert_null(strstr(header, "'fortran_order': True"));
    const char *type = strstr(header, "'descr': '");
    assert_non_null(type);
    (void)snprintf(ret_type, 4, "%.3s", type + 10);
    free(header);
    long start = ftell(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size_t bytes = (size_t)(ftell(file) - start);
    assert_int_equal(fseek(file, start, SEEK_SET), 0);
    void *data = malloc(bytes + 1);
    assert_int_equal(fread(data, 1, bytes, file), bytes);
    (void)fclose(file);
    *ret_bytes = bytes;
    return data;
}

struct golden_array golden_load(const struct golden_case *golden, const char *file)
{
    char type[4];
    size_t bytes;
    void *data = read_npy(golden, file, type, &bytes);
    size_t size = (size_t)(type[2] - '0');
    struct golden_array array = {bytes / size, malloc(bytes / size * sizeof(double))};
    for (size_t i = 0; i < array.count; i++) {
        if (strcmp(type, "<f8") == 0)
            array.values[i] = ((double *)data)[i];
        else if (strcmp(type, "<f4") == 0)
            array.values[i] = (double)((float *)data)[i];
        else if (strcmp(type, "<i4") == 0)
            array.values[i] = ((int32_t *)data)[i];
        else if (strcmp(type, "|u1") == 0)
            array.values[i] = ((uint8_t *)data)[i];
        else
            fail_msg("%s has elements of type %s", file, type);
    }
    free(data);
    return array;
}

uint8_t *golden_load_mask(const struct golden_case *golden, const char *file)
{
    char type[4];
    size_t bytes;
    uint8_t *packed = read_npy(golden, file, type, &bytes);
    size_t side = (size_t)golden->segmentation_side;
    assert_int_equal(bytes, (side * side + 7) / 8);
    uint8_t *mask = malloc(side * side);
    for (size_t i = 0; i < side * side; i++)
        mask[i] = packed[i / 8] >> (7 - i % 8) & 1;
    free(packed);
    return mask;
}
