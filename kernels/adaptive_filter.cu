/* Separable filters of fields: along the columns, then along the rows.
 *
 * Cost for a field of n px: each pass reads 4 n bytes and writes 4 n, so a filter moves 16 n. Boxes
 * and squares take two additions per pixel and pass at any width, Gaussians 3 (radius + 1). In
 * addition, the first window of a column segment takes its width, and that of a row segment, which
 * is shorter, some 30 to 50 additions up to a radius of 100. On GPUs with few units for doubles,
 * boxes are limited by these.
 */
#include "formulas/adaptive_formulas.h"
#include "kernel.h"
#include "launch_adaptive.h"

/* ---- sums over windows ------------------------------------------------------------------------
 */

/* Types and operations of a window: pixels, sum, result. */
struct box_window {
    typedef float pixel;
    typedef double sum;
    bool squared;
    double scale;
    __device__ box_window(const ps_filter_job &job, bool, bool first_pass)
        : squared(first_pass && job.squared), scale(1.0 / (2 * job.radius + 1))
    {
    }
    __device__ float at(const float *line, int i, int n, size_t step) const
    {
        float value = line[(size_t)ps_mirror(i, n) * step];
        return squared ? value * value : value;
    }
    __device__ float result(double total) const
    {
        return (float)(total * scale);
    }
};

/* Pixels outside the field count as set for an erosion, as unset for a dilation. */
struct square_window {
    typedef uint8_t pixel;
    typedef int sum;
    int outside;
    int min_total;
    __device__ square_window(const ps_filter_job &job, bool erode, bool)
        : outside(erode), min_total(erode ? 2 * job.radius + 1 : 1)
    {
    }
    __device__ uint8_t at(const uint8_t *line, int i, int n, size_t step) const
    {
        return i >= 0 && i < n ? line[(size_t)i * step] : (uint8_t)outside;
    }
    __device__ uint8_t result(int total) const
    {
        return total >= min_total;
    }
};

enum { SEGMENT = 64, COLUMN_THREADS = 128 };

/* One thread per SEGMENT rows of a column, with the running sum of the window around its row.
 * Neighbouring threads read neighbouring columns. */
template <class Window>
__global__ void __launch_bounds__(COLUMN_THREADS)
    k_adaptive_window_columns(ps_filter_jobs jobs, bool erode)
{
    typedef typename Window::pixel pixel;
    const ps_filter_job &job = jobs.job[blockIdx.z];
    int x = (int)(blockIdx.x * COLUMN_THREADS + threadIdx.x);
    if (x >= jobs.width)
        return;
    Window window(job, erode, true);
    size_t width = (size_t)jobs.width;
    const pixel *in = (const pixel *)job.in + x;
    pixel *out = (pixel *)job.passing + x;
    int first = (int)blockIdx.y * SEGMENT;
    int end = min(first + SEGMENT, jobs.height);
    typename Window::sum total = 0;
    for (int y = first - job.radius; y <= first + job.radius; y++)
        total += window.at(in, y, jobs.height, width);
    for (int y = first; y < end; y++) {
        out[(size_t)y * width] = window.result(total);
        total += (typename Window::sum)window.at(in, y + job.radius + 1, jobs.height, width) -
                 (typename Window::sum)window.at(in, y - job.radius, jobs.height, width);
    }
}

/* EACH is odd, so that the threads of a warp access different banks. */
enum { EACH = 17, TILE_ROWS = 8, TILE = EACH * PS_WARP };

/* Chunks of EACH pixels in the first window of a thread, and distinct chunks in a row of
 * threads. */
PS_HD int chunks_of_window(int radius)
{
    return 2 * radius / EACH;
}
PS_HD int chunks_of_row(int radius)
{
    return chunks_of_window(radius) > 0 ? chunks_of_window(radius) + PS_WARP - 1 : 0;
}

/* A block keeps a tile of TILE_ROWS rows in shared memory; each thread computes EACH pixels. The
 * first window of a thread is summed from chunks that it shares with its neighbours. */
template <class Window>
__global__ void __launch_bounds__(PS_WARP *TILE_ROWS)
    k_adaptive_window_rows(ps_filter_jobs jobs, bool erode)
{
    typedef typename Window::pixel pixel;
    typedef typename Window::sum sum;
    const ps_filter_job &job = jobs.job[blockIdx.z];
    PS_SHARED(sum, sums);
    int row_chunks = chunks_of_row(job.radius);
    pixel *tile = reinterpret_cast<pixel *>(sums + TILE_ROWS * row_chunks);
    Window window(job, erode, false);
    int span = TILE + 2 * job.radius;
    int first = (int)blockIdx.x * TILE;
    int y = (int)(blockIdx.y * TILE_ROWS + threadIdx.y);
    bool inside = y < jobs.height;
    pixel *line = tile + (size_t)threadIdx.y * span;
    const pixel *in = (const pixel *)job.passing + (size_t)(inside ? y : 0) * jobs.width;
    for (int i = (int)threadIdx.x; i < span; i += PS_WARP)
        line[i] = window.at(in, first - job.radius + i, jobs.width, 1);
    __syncthreads();
    for (int c = (int)(threadIdx.y * PS_WARP + threadIdx.x); c < TILE_ROWS * row_chunks;
         c += TILE_ROWS * PS_WARP) {
        const pixel *begin = tile + c / row_chunks * span + c % row_chunks * EACH;
        sum chunk = 0;
        PS_UNROLL
        for (int i = 0; i < EACH; i++)
            chunk += begin[i];
        sums[c] = chunk;
    }
    __syncthreads();
    const sum *chunks = sums + threadIdx.y * row_chunks + threadIdx.x;
    pixel results[EACH];
    const pixel *from = line + threadIdx.x * EACH;
    sum total = 0;
    for (int c = 0; c < chunks_of_window(job.radius); c++)
        total += chunks[c];
    for (int i = chunks_of_window(job.radius) * EACH; i < 2 * job.radius; i++)
        total += from[i];
    PS_UNROLL
    for (int i = 0; i < EACH; i++) {
        total += from[i + 2 * job.radius];
        results[i] = window.result(total);
        total -= from[i];
    }
    __syncthreads();
    PS_UNROLL
    for (int i = 0; i < EACH; i++)
        line[threadIdx.x * EACH + i] = results[i];
    __syncthreads();
    pixel *out = (pixel *)job.out + (size_t)y * jobs.width;
    for (int i = (int)threadIdx.x; i < TILE && inside && first + i < jobs.width; i += PS_WARP)
        out[first + i] = line[i];
}

static int largest_radius(const ps_filter_jobs *jobs)
{
    int radius = 0;
    for (int i = 0; i < jobs->count; i++)
        radius = jobs->job[i].radius > radius ? jobs->job[i].radius : radius;
    return radius;
}

template <class Window>
static cudaError_t filter_windows(const ps_filter_jobs *jobs, bool erode, cudaStream_t stream)
{
    dim3 columns(ps_blocks((size_t)jobs->width, COLUMN_THREADS),
                 ps_blocks((size_t)jobs->height, SEGMENT), (unsigned)jobs->count);
    cudaError_t result = PS_LAUNCH(k_adaptive_window_columns<Window>, columns, COLUMN_THREADS, 0,
                                   stream, *jobs, erode);
    if (result != cudaSuccess)
        return result;
    dim3 rows(ps_blocks((size_t)jobs->width, TILE), ps_blocks((size_t)jobs->height, TILE_ROWS),
              (unsigned)jobs->count);
    int radius = largest_radius(jobs);
    size_t shared = TILE_ROWS * ((size_t)(TILE + 2 * radius) * sizeof(typename Window::pixel) +
                                 (size_t)chunks_of_row(radius) * sizeof(typename Window::sum));
    return PS_LAUNCH(k_adaptive_window_rows<Window>, rows, dim3(PS_WARP, TILE_ROWS), shared, stream,
                     *jobs, erode);
}

cudaError_t ps_launch_adaptive_box(const struct ps_filter_jobs *jobs, cudaStream_t stream)
{
    return filter_windows<box_window>(jobs, false, stream);
}

cudaError_t ps_launch_adaptive_square(const struct ps_filter_jobs *jobs, bool erode,
                                      cudaStream_t stream)
{
    return filter_windows<square_window>(jobs, erode, stream);
}

/* ---- Gaussian ---------------------------------------------------------------------------------
 */

enum { LINES = PS_WARP, ALONG = 64, GROUPS = 8, OUTPUTS = ALONG / GROUPS, PITCH = LINES + 1 };

/* A block keeps a tile of LINES lines side by side in shared memory and computes ALONG results of
 * each. A thread computes OUTPUTS adjacent results of a line. It keeps the pixels at one distance
 * before and after them in registers and loads one of each for the next distance. */
template <bool rows>
__global__ void __launch_bounds__(LINES *GROUPS) k_adaptive_gauss(ps_filter_jobs jobs)
{
    const ps_filter_job &job = jobs.job[blockIdx.z];
    PS_SHARED(float, tile);
    const float *in = (const float *)(rows ? job.passing : job.in);
    float *out = (float *)(rows ? job.out : job.passing);
    int radius = job.radius;
    int span = ALONG + 2 * radius;
    size_t width = (size_t)jobs.width;
    int first = (int)blockIdx.y * ALONG;
    int first_line = (int)blockIdx.x * LINES;
    int length = rows ? jobs.width : jobs.height;
    int lines = rows ? jobs.height : jobs.width;
    if (rows) {
        for (int l = (int)threadIdx.y; l < LINES && first_line + l < lines; l += GROUPS)
            for (int i = (int)threadIdx.x; i < span; i += LINES)
                tile[i * PITCH + l] = in[(size_t)(first_line + l) * width +
                                         (size_t)ps_mirror(first - radius + i, length)];
    } else if (first_line + (int)threadIdx.x < lines) {
        for (int i = (int)threadIdx.y; i < span; i += GROUPS)
            tile[i * PITCH + (int)threadIdx.x] =
                in[(size_t)ps_mirror(first - radius + i, length) * width + (size_t)first_line +
                   threadIdx.x];
    }
    __syncthreads();
    const float *at = tile + (radius + (int)threadIdx.y * OUTPUTS) * PITCH + threadIdx.x;
    float before[OUTPUTS];
    float after[OUTPUTS];
    float sum[OUTPUTS];
    PS_UNROLL
    for (int i = 0; i < OUTPUTS; i++) {
        before[i] = after[i] = at[i * PITCH];
        sum[i] = job.weights[0] * before[i];
    }
    for (int k = 1; k <= radius; k++) {
        float weight = job.weights[k];
        PS_UNROLL
        for (int i = OUTPUTS - 1; i > 0; i--)
            before[i] = before[i - 1];
        before[0] = at[-k * PITCH];
        PS_UNROLL
        for (int i = 0; i < OUTPUTS - 1; i++)
            after[i] = after[i + 1];
        after[OUTPUTS - 1] = at[(OUTPUTS - 1 + k) * PITCH];
        PS_UNROLL
        for (int i = 0; i < OUTPUTS; i++)
            sum[i] += weight * (before[i] + after[i]);
    }
    if (!rows) {
        int x = first_line + (int)threadIdx.x;
        int y = first + (int)threadIdx.y * OUTPUTS;
        PS_UNROLL
        for (int i = 0; i < OUTPUTS; i++)
            if (x < lines && y + i < length)
                out[(size_t)(y + i) * width + (size_t)x] = sum[i];
        return;
    }
    __syncthreads();
    PS_UNROLL
    for (int i = 0; i < OUTPUTS; i++)
        tile[((int)threadIdx.y * OUTPUTS + i) * PITCH + (int)threadIdx.x] = sum[i];
    __syncthreads();
    for (int l = (int)threadIdx.y; l < LINES && first_line + l < lines; l += GROUPS)
        for (int i = (int)threadIdx.x; i < ALONG && first + i < length; i += LINES)
            out[(size_t)(first_line + l) * width + (size_t)(first + i)] = tile[i * PITCH + l];
}

cudaError_t ps_launch_adaptive_gauss(const struct ps_filter_jobs *jobs, cudaStream_t stream)
{
    size_t shared = (size_t)(ALONG + 2 * largest_radius(jobs)) * PITCH * sizeof(float);
    dim3 block(LINES, GROUPS);
    dim3 columns(ps_blocks((size_t)jobs->width, LINES), ps_blocks((size_t)jobs->height, ALONG),
                 (unsigned)jobs->count);
    cudaError_t result = PS_LAUNCH(k_adaptive_gauss<false>, columns, block, shared, stream, *jobs);
    if (result != cudaSuccess)
        return result;
    dim3 rows(ps_blocks((size_t)jobs->height, LINES), ps_blocks((size_t)jobs->width, ALONG),
              (unsigned)jobs->count);
    return PS_LAUNCH(k_adaptive_gauss<true>, rows, block, shared, stream, *jobs);
}
