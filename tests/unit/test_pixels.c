/* Pixel conversion: every half float against the arithmetic that defines it, both directions. */
#include "image/micrograph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>

/* IEEE 754: (-1)^s 2^(e-15) 1.m, or 2^-14 0.m where e is 0. */
static double half_value(uint16_t half)
{
    int exponent = half >> 10 & 31, mantissa = half & 1023;
    double sign = half & 0x8000 ? -1 : 1;
    if (exponent == 31)
        return mantissa ? (double)NAN : sign * (double)INFINITY;
    if (exponent == 0)
        return sign * ldexp(mantissa, -24);
    return sign * ldexp(1024 + mantissa, exponent - 25);
}

static void test_every_half_becomes_its_float(void **state)
{
    (void)state;
    enum { COUNT = 65536 };
    uint16_t *halves = malloc(COUNT * sizeof *halves);
    float *floats = malloc(COUNT * sizeof *floats);
    for (unsigned i = 0; i < COUNT; i++)
        halves[i] = (uint16_t)i;
    ps_pixels_to_float(halves, PS_PIXEL_F16, COUNT, floats);
    for (unsigned i = 0; i < COUNT; i++) {
        double expected = half_value((uint16_t)i);
        float scalar = ps_half_to_float((uint16_t)i);
        if (isnan(expected)) {
            assert_true(isnan(floats[i]) && isnan(scalar));
        } else {
            float value = (float)expected;
            assert_memory_equal(&floats[i], &value, sizeof value); /* -0 too */
            assert_memory_equal(&scalar, &value, sizeof value);
        }
    }
    free(halves);
    free(floats);
}

static void test_half_to_float_and_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 65536; i++) {
        float value = ps_half_to_float((uint16_t)i);
        uint16_t half = ps_float_to_half(value);
        if (isnan(value))
            assert_true((half & 0x7c00) == 0x7c00 && (half & 0x3ff));
        else
            assert_int_equal(half, i);
    }
}

/* Between neighbours h and h + 1 the midpoint goes to the even one, all else to the nearer. */
static void test_float_to_half_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 0x7bff; h++) {
        float middle = (float)((half_value((uint16_t)h) + half_value((uint16_t)(h + 1))) / 2);
        unsigned even = h % 2 ? h + 1 : h;
        assert_int_equal(ps_float_to_half(middle), even);
        assert_int_equal(ps_float_to_half(-middle), 0x8000 | even);
        assert_int_equal(ps_float_to_half(nextafterf(middle, 0)), h);
        assert_int_equal(ps_float_to_half(nextafterf(middle, INFINITY)), h + 1);
    }
    assert_int_equal(ps_float_to_half(65519.99F), 0x7bff); /* the largest half is 65504 */
    assert_int_equal(ps_float_to_half(65520.F), 0x7c00);
    assert_int_equal(ps_float_to_half(1e30F), 0x7c00);
    assert_int_equal(ps_float_to_half(-INFINITY), 0xfc00);
    assert_int_equal(ps_float_to_half(1e-30F), 0);
    assert_int_equal(ps_float_to_half(-1e-45F), 0x8000);
}

static void test_integers_keep_their_values(void **state)
{
    (void)state;
    enum { COUNT = 37 }; /* no multiple of a vector */
    int8_t i8[COUNT];
    uint8_t u8[COUNT];
    int16_t i16[COUNT];
    uint16_t u16[COUNT];
    for (int i = 0; i < COUNT; i++) {
        i8[i] = (int8_t)(i * 7 - 128);
        u8[i] = (uint8_t)(255 - i * 7);
        i16[i] = (int16_t)(i * 1820 - 32768);
        u16[i] = (uint16_t)(65535 - i * 1820);
    }
    const struct {
        const void *pixels;
        enum ps_pixel type;
    } cases[] = {{i8, PS_PIXEL_I8}, {u8, PS_PIXEL_U8}, {i16, PS_PIXEL_I16}, {u16, PS_PIXEL_U16}};
    for (int k = 0; k < 4; k++) {
        float to[COUNT + 1];
        to[COUNT] = -1.5F;
        ps_pixels_to_float(cases[k].pixels, cases[k].type, COUNT, to);
        for (int i = 0; i < COUNT; i++) {
            int expected[] = {i8[i], u8[i], i16[i], u16[i]};
            assert_true(to[i] == (float)expected[k]);
        }
        assert_true(to[COUNT] == -1.5F);
    }
}

static void test_floats_are_copied(void **state)
{
    (void)state;
    const float from[] = {0, -0.F, 1.25F, INFINITY, NAN, 1e-42F};
    float to[6];
    ps_pixels_to_float(from, PS_PIXEL_F32, 6, to);
    assert_memory_equal(from, to, sizeof from);
}

static void test_sizes(void **state)
{
    (void)state;
    assert_int_equal(ps_pixel_bytes(PS_PIXEL_I8), 1);
    assert_int_equal(ps_pixel_bytes(PS_PIXEL_U8), 1);
    assert_int_equal(ps_pixel_bytes(PS_PIXEL_I16), 2);
    assert_int_equal(ps_pixel_bytes(PS_PIXEL_U16), 2);
    assert_int_equal(ps_pixel_bytes(PS_PIXEL_F16), 2);
    assert_int_equal(ps_pixel_bytes(PS_PIXEL_F32), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_half_becomes_its_float),
        cmocka_unit_test(test_half_to_float_and_back),
        cmocka_unit_test(test_float_to_half_rounds_to_nearest_even),
        cmocka_unit_test(test_integers_keep_their_values),
        cmocka_unit_test(test_floats_are_copied),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests_name("pixels", tests, NULL, NULL);
}
