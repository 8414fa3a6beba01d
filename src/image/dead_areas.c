#include "image/dead_areas.h"

#include "base/error.h"
#include "base/parallel.h"
#include "image/reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4, STRIP = 16, SAMPLES = 2048 };
static const float SMALL_DIFFERENCE = 0.02F; /* relative to neighbouring pixels elsewhere */

/* ---- one tile ---------------------------------------------------------------------------------
 */

typedef float tile_pixels[PS_DEAD_TILE][PS_DEAD_TILE];

/* First pixel of a tile: the last tile of a line ends with the image and may overlap the one
 * before. */
static size_t first_pixel(int tile, int size)
{
    int first = tile * PS_DEAD_TILE;
    return (size_t)(first + PS_DEAD_TILE <= size ? first : size - PS_DEAD_TILE);
}

static void load_rows(const struct ps_image *image, int column, int row, int rows, tile_pixels tile)
{
    size_t x = first_pixel(column, image->width);
    size_t top = first_pixel(row, image->height);
    for (size_t y = 0; y < (size_t)rows; y++) {
        size_t at = (top + y) * (size_t)image->width + x;
        ps_pixels_to_float((const char *)image->pixels + at * ps_pixel_bytes(image->type),
                           image->type, PS_DEAD_TILE, tile[y]);
    }
}

/* Pixels that are not finite equal any. */
static bool differ(float a, float b, float tolerance)
{
    return fabsf(a - b) > tolerance && isfinite(a) && isfinite(b);
}

static bool rows_are_constant(tile_pixels tile, float tolerance)
{
    for (int y = 0; y < PS_DEAD_TILE; y++)
        for (int x = 1; x < PS_DEAD_TILE; x++)
            if (differ(tile[y][x], tile[y][x - 1], tolerance))
                return false;
    return true;
}

static bool columns_are_constant(tile_pixels tile, float tolerance)
{
    for (int y = 1; y < PS_DEAD_TILE; y++)
        for (int x = 0; x < PS_DEAD_TILE; x++)
            if (differ(tile[y][x], tile[y - 1][x], tolerance))
                return false;
    return true;
}

static bool is_dead(const struct ps_image *image, int column, int row, float tolerance)
{
    tile_pixels tile;
    load_rows(image, column, row, PS_DEAD_TILE, tile);
    return rows_are_constant(tile, tolerance) || columns_are_constant(tile, tolerance);
}

/* ---- all tiles --------------------------------------------------------------------------------
 */

struct marking {
    const struct ps_image *image;
    const struct ps_dead_areas *areas;
    float tolerance;
    unsigned char *marked;
};

/* False if the first two rows of a tile show that it is not dead, as nearly all do. */
static bool can_be_dead(const float *upper, const float *lower, float tolerance)
{
    bool rows = true;
    bool columns = true;
    for (int x = 0; x < PS_DEAD_TILE && (rows || columns); x++) {
        columns = columns && !differ(upper[x], lower[x], tolerance);
        rows = rows && (x == 0 || (!differ(upper[x], upper[x - 1], tolerance) &&
                                   !differ(lower[x], lower[x - 1], tolerance)));
    }
    return rows || columns;
}

/* Marks the dead ones of a row of tiles, TILES at a time. */
static void mark_row(void *context, int thread, size_t row)
{
    (void)thread;
    enum { TILES = 256 };
    const struct marking *m = context;
    const struct ps_image *image = m->image;
    size_t bytes = ps_pixel_bytes(image->type);
    size_t top = first_pixel((int)row, image->height);
    float rows[2][TILES * PS_DEAD_TILE];
    for (int first = 0; first < m->areas->columns; first += TILES) {
        int end = first + TILES < m->areas->columns ? first + TILES : m->areas->columns;
        size_t left = first_pixel(first, image->width);
        size_t count = first_pixel(end - 1, image->width) + PS_DEAD_TILE - left;
        for (size_t y = 0; y < 2; y++)
            ps_pixels_to_float((const char *)image->pixels +
                                   ((top + y) * (size_t)image->width + left) * bytes,
                               image->type, count, rows[y]);
        for (int column = first; column < end; column++) {
            size_t x = first_pixel(column, image->width) - left;
            m->marked[row * (size_t)m->areas->columns + (size_t)column] =
                can_be_dead(rows[0] + x, rows[1] + x, m->tolerance) &&
                is_dead(image, column, (int)row, m->tolerance);
        }
    }
}

/* ---- the usual difference ---------------------------------------------------------------------
 */

static int ascending(const void *left, const void *right)
{
    float a = *(const float *)left;
    float b = *(const float *)right;
    return (a > b) - (a < b);
}

/* The mean absolute difference of neighbours in a row, in tiles spread over the image: the upper
 * quartile, so that up to three quarters of the image may be dead. */
static float usual_difference(const struct ps_image *image, const struct ps_dead_areas *areas)
{
    float differences[SAMPLES];
    size_t tiles = (size_t)areas->columns * (size_t)areas->rows;
    size_t count = tiles < SAMPLES ? tiles : SAMPLES;
    for (size_t i = 0; i < count; i++) {
        size_t at = i * tiles / count;
        int column = (int)(at % (size_t)areas->columns);
        int row = (int)(at / (size_t)areas->columns);
        tile_pixels tile;
        load_rows(image, column, row, 1, tile);
        float sum = 0;
        for (int x = 1; x < PS_DEAD_TILE; x++) {
            float difference = fabsf(tile[0][x] - tile[0][x - 1]);
            sum += isfinite(difference) ? difference : 0;
        }
        differences[i] = sum / (PS_DEAD_TILE - 1);
    }
    qsort(differences, count, sizeof *differences, ascending);
    return differences[3 * count / 4];
}

/* ---- areas ------------------------------------------------------------------------------------
 */

/* Keeps tiles (copied from `from`) of complete rectangles of width x height tiles. `from` is 0
 * where there is no rectangle to begin with, which is nearly everywhere. */
static void keep_rectangles(const struct ps_dead_areas *areas, const unsigned char *from, int width,
                            int height)
{
    size_t stride = (size_t)areas->columns;
    for (int row = 0; row + height <= areas->rows; row++)
        for (int column = 0; column + width <= areas->columns; column++) {
            const unsigned char *corner = from + (size_t)row * stride + (size_t)column;
            bool full = *corner != 0;
            for (int v = 0; v < height && full; v++)
                for (int u = 0; u < width && full; u++)
                    full = corner[(size_t)v * stride + (size_t)u];
            for (int v = 0; v < height && full; v++)
                memset(areas->dead + (size_t)(row + v) * stride + column, 1, (size_t)width);
        }
}

static void widen(const struct ps_dead_areas *areas, unsigned char *ret_dead)
{
    size_t stride = (size_t)areas->columns;
    for (int row = 0; row < areas->rows; row++)
        for (int column = 0; column < areas->columns; column++) {
            if (!areas->dead[(size_t)row * stride + (size_t)column])
                continue;
            int left = column > 0 ? column - 1 : 0;
            int right = column + 1 < areas->columns ? column + 1 : column;
            for (int v = row > 0 ? row - 1 : 0; v <= row + 1 && v < areas->rows; v++)
                memset(ret_dead + (size_t)v * stride + left, 1, (size_t)(right - left + 1));
        }
}

static size_t count_dead(const unsigned char *dead, size_t tiles)
{
    size_t count = 0;
    for (size_t i = 0; i < tiles; i++)
        count += dead[i];
    return count;
}

/* From single tiles, in `marked`, to areas. */
static void find_areas(struct ps_dead_areas *areas, unsigned char *marked)
{
    size_t tiles = (size_t)areas->columns * (size_t)areas->rows;
    keep_rectangles(areas, marked, BLOCK, BLOCK);
    keep_rectangles(areas, marked, STRIP, 1);
    keep_rectangles(areas, marked, 1, STRIP);
    memset(marked, 0, tiles);
    widen(areas, marked);
    memcpy(areas->dead, marked, tiles);
    areas->count = count_dead(areas->dead, tiles);
    if (areas->count == tiles)
        areas->count = 0;
}

int ps_dead_areas_find(const struct ps_image *image, int threads, struct ps_dead_areas *ret_areas,
                       struct ps_error *error)
{
    *ret_areas = (struct ps_dead_areas){0};
    if (image->width < PS_DEAD_TILE || image->height < PS_DEAD_TILE)
        return 0;
    *ret_areas = (struct ps_dead_areas){
        .columns = (image->width + PS_DEAD_TILE - 1) / PS_DEAD_TILE,
        .rows = (image->height + PS_DEAD_TILE - 1) / PS_DEAD_TILE,
    };
    size_t tiles = (size_t)ret_areas->columns * (size_t)ret_areas->rows;
    unsigned char *marked = malloc(tiles);
    ret_areas->dead = calloc(tiles, 1);
    if (!marked || !ret_areas->dead) {
        free(marked);
        ps_dead_areas_done(ret_areas);
        return ps_fail_memory(error, tiles, "dead areas");
    }
    struct marking marking = {
        .image = image,
        .areas = ret_areas,
        .tolerance = SMALL_DIFFERENCE * usual_difference(image, ret_areas),
        .marked = marked,
    };
    ps_parallel(threads, (size_t)ret_areas->rows, mark_row, &marking);
    if (count_dead(marked, tiles))
        find_areas(ret_areas, marked);
    free(marked);
    return 0;
}

void ps_dead_areas_done(struct ps_dead_areas *areas)
{
    free(areas->dead);
    *areas = (struct ps_dead_areas){0};
}

/* ---- what they cover --------------------------------------------------------------------------
 */

static bool holds(const struct ps_dead_areas *areas, int column, int row)
{
    return areas->dead[(size_t)row * (size_t)areas->columns + (size_t)column];
}

bool ps_dead_areas_hold(const struct ps_dead_areas *areas, int x, int y)
{
    return areas->count && holds(areas, x / PS_DEAD_TILE, y / PS_DEAD_TILE);
}

/* Columns of tiles from `first` on, in steps of 1 or -1, that are dead from end to end. */
static int dead_columns(const struct ps_dead_areas *areas, int first, int step)
{
    int count = 0;
    for (int column = first; column >= 0 && column < areas->columns; column += step, count++)
        for (int row = 0; row < areas->rows; row++)
            if (!holds(areas, column, row))
                return count;
    return count;
}

static int dead_rows(const struct ps_dead_areas *areas, int first, int step)
{
    size_t columns = (size_t)areas->columns;
    int count = 0;
    for (int row = first; row >= 0 && row < areas->rows; row += step, count++)
        if (count_dead(areas->dead + (size_t)row * columns, columns) < columns)
            return count;
    return count;
}

/* Tiles from an edge on, of which the last one of `size` px may be cut. */
static int far_margin(int tiles, int size)
{
    int cut = (PS_DEAD_TILE - size % PS_DEAD_TILE) % PS_DEAD_TILE;
    return tiles ? tiles * PS_DEAD_TILE - cut : 0;
}

void ps_dead_areas_margins(const struct ps_dead_areas *areas, const struct ps_image *image,
                           int ret_margins[4])
{
    memset(ret_margins, 0, 4 * sizeof *ret_margins);
    if (areas->count == 0)
        return;
    ret_margins[0] = PS_DEAD_TILE * dead_columns(areas, 0, 1);
    ret_margins[1] = far_margin(dead_columns(areas, areas->columns - 1, -1), image->width);
    ret_margins[2] = PS_DEAD_TILE * dead_rows(areas, 0, 1);
    ret_margins[3] = far_margin(dead_rows(areas, areas->rows - 1, -1), image->height);
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

size_t ps_dead_areas_bin(const struct ps_dead_areas *areas, int bin, int width, int height,
                         unsigned char *ret_dead)
{
    size_t pixels = (size_t)width * (size_t)height;
    memset(ret_dead, 0, pixels);
    if (areas->count == 0)
        return 0;
    for (int row = 0; row < areas->rows; row++)
        for (int column = 0; column < areas->columns; column++) {
            if (!holds(areas, column, row))
                continue;
            int left = column * PS_DEAD_TILE / bin;
            int right = least(((column + 1) * PS_DEAD_TILE - 1) / bin, width - 1);
            int bottom = least(((row + 1) * PS_DEAD_TILE - 1) / bin, height - 1);
            for (int y = row * PS_DEAD_TILE / bin; y <= bottom && left <= right; y++)
                memset(ret_dead + (size_t)y * (size_t)width + left, 1, (size_t)(right - left + 1));
        }
    return count_dead(ret_dead, pixels);
}
