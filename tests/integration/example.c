/* libpickstream from C: picks the particles in an image in memory, prints x, y and score of each.
 *
 *     cc example.c $(pkg-config --cflags --libs pickstream) -o example
 *     ./example image.raw 4096 4096 78px
 *
 * image.raw holds width * height floats in the byte order of this machine, row by row, the row that
 * an MRC file stores first coming first: mrcfile.read("x.mrc").astype("f4").tofile("image.raw").
 */
#include <pickstream.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: %s FILE WIDTH HEIGHT DIAMETER\n", argv[0]);
        return 2;
    }
    /* The image is the caller's; pickstream only reads it. Its pixels could as well be integers. */
    struct ps_image image = {.type = PS_PIXEL_F32, .width = atoi(argv[2]), .height = atoi(argv[3])};
    size_t count = (size_t)image.width * (size_t)image.height;
    float *pixels = malloc(count * sizeof *pixels);
    FILE *file = fopen(argv[1], "rb");
    if (!pixels || !file || fread(pixels, sizeof *pixels, count, file) != count) {
        fprintf(stderr, "%s: cannot read %zu pixels\n", argv[1], count);
        return 1;
    }
    fclose(file);
    image.pixels = pixels;

    /* Every function that can fail returns 0 or fills `error`; NULL and zeros may be freed. */
    struct ps_error error = {PS_E_NOMEM, "no memory"};
    struct ps_config *config = ps_config_new();
    struct ps_picker *picker = NULL;
    struct ps_result result = {0};
    int status = config ? 0 : PS_E_NOMEM;
    if (status == 0) /* any key of pickstream.conf(5) */
        status = ps_config_set(config, "picker.particle_diameter", argv[4], &error);
    if (status == 0) /* once: it opens the device */
        status = ps_picker_new(config, &picker, &error);
    if (status == 0) /* for each image, emptying the result after each */
        status = ps_picker_pick(picker, &image, &result, &error);
    if (status != 0)
        fprintf(stderr, "%s\n", error.message);
    else if (result.outcome == PS_REJECTED)
        fprintf(stderr, "rejected: %s\n", result.reason);
    for (size_t i = 0; i < result.count; i++)
        printf("%.9g %.9g %.9g\n", result.picks[i].x, result.picks[i].y, result.picks[i].score);

    ps_result_done(&result);
    ps_picker_free(picker);
    ps_config_free(config);
    free(pixels);
    return status == 0 ? 0 : 1;
}
