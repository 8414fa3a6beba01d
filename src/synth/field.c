#include "synth/field.h"

#include <string.h>

/* The smallest size of at least `size` whose prime factors are all at most 7. */
static int fast_size(int size)
{
    static const int primes[] = {2, 3, 5, 7};
    for (;; size++) {
        int rest = size;
        for (int i = 0; i < 4; i++)
            while (rest % primes[i] == 0)
                rest /= primes[i];
        if (rest == 1)
            return size;
    }
}

int ps_field_init(struct ps_field *ret_field, int micrograph_width, int micrograph_height,
                  int border, struct ps_error *error)
{
    struct ps_field field = {
        .width = fast_size(micrograph_width + 2 * border),
        .height = fast_size(micrograph_height + 2 * border),
        .border = border,
    };
    field.stride = 2 * ((size_t)field.width / 2 + 1);
    size_t count = field.stride * (size_t)field.height;
    field.pixels = fftwf_alloc_real(count);
    if (!field.pixels)
        return ps_fail_memory(error, count * sizeof(float), "the synthetic micrograph");
    fftwf_complex *spectrum = (fftwf_complex *)field.pixels;
    field.forward =
        fftwf_plan_dft_r2c_2d(field.height, field.width, field.pixels, spectrum, FFTW_ESTIMATE);
    field.backward =
        fftwf_plan_dft_c2r_2d(field.height, field.width, spectrum, field.pixels, FFTW_ESTIMATE);
    if (!field.forward || !field.backward) {
        ps_field_done(&field);
        return ps_fail(error, PS_E_NOMEM, "FFTW cannot plan a transform of %d x %d", field.width,
                       field.height);
    }
    ps_field_clear(&field);
    *ret_field = field;
    return 0;
}

void ps_field_done(struct ps_field *field)
{
    if (field->forward)
        fftwf_destroy_plan(field->forward);
    if (field->backward)
        fftwf_destroy_plan(field->backward);
    fftwf_free(field->pixels);
    *field = (struct ps_field){0};
}

void ps_field_clear(struct ps_field *field)
{
    memset(field->pixels, 0, field->stride * (size_t)field->height * sizeof(float));
}

double ps_field_filter(struct ps_field *field, ps_gain gain, const void *context)
{
    int columns = field->width / 2 + 1;
    double scale = 1.0 / field->width / field->height; /* FFTW does not normalise */
    double power = 0;
    fftwf_execute(field->forward);
    for (int row = 0; row < field->height; row++) {
        int frequency = row <= field->height / 2 ? row : row - field->height;
        double qy = (double)frequency / field->height;
        float *out = field->pixels + (size_t)row * field->stride;
        for (int column = 0; column < columns; column++) {
            double value = gain((double)column / field->width, qy, context);
            /* Each column represents two, except the first and the last of an even width. */
            power += (column == 0 || 2 * column == field->width ? 1 : 2) * value * value;
            out[2 * column] *= (float)(value * scale);
            out[2 * column + 1] *= (float)(value * scale);
        }
    }
    fftwf_execute(field->backward);
    return power * scale;
}
