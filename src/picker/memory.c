/* The numbers of bytes follow from the buffers of the backends (backend/cpu/adaptive.h, slot.h),
 * and were compared with the peak of the resident memory. */
#include "picker/memory.h"

#include "base/error.h"
#include "picker/adaptive.h"
#include "picker/aspire.h"
#include "picker/picker.h"

#include <math.h>

/* Of the process without a micrograph. */
static const double CPU_PROCESS_BYTES = 4e6;
static const double GPU_PROCESS_BYTES = 150e6;

/* Of the micrograph as float32, on the CPU, unless it is stored so. */
static const double FLOAT_BYTES = 4;

/* For each pixel of the field at the fine resolution: masks, channels, their norms and means,
 * spectra, responses, scratch. */
static const double FIELD_BYTES = 73;

/* For each pixel of the field at the coarse resolution: the second and third item of a batch. */
static const double ITEMS_BYTES = 48;

/* For each pixel of the cropped and shrunk micrograph, and for each window. */
static const double SHRUNK_BYTES = 16;
static const double WINDOW_BYTES = 15;

/* Of the responses of all windows that are scored to four references of each container; if they are
 * more than the backend keeps, it computes them twice. */
static const double RESPONSE_BYTES = 4 * 4;
static const double MAX_RESPONSES_BYTES = 256 << 20;

/* Pixels of a field, with the zeros that the transforms add: as many as the largest template
 * reaches. */
static double field_pixels(const struct ps_image *image, double diameter, double least)
{
    const double bin = ps_adaptive_bin(diameter, least);
    const double reach = ps_adaptive_scales[PS_ADAPTIVE_SCALES - 1] * diameter / bin;
    return (image->width / bin + reach) * (image->height / bin + reach);
}

/* Of the whole as one field: most large micrographs are picked in parts, which takes less, but not
 * those in which no part is clear. */
static double adaptive_bytes(const struct ps_image *image, double diameter)
{
    const struct ps_adaptive_rules *rules = &ps_adaptive_rules;
    const double fine = ps_adaptive_fine(rules, diameter, image->width, image->height);
    return FIELD_BYTES * field_pixels(image, diameter, fine) +
           ITEMS_BYTES * field_pixels(image, diameter, rules->coarse);
}

/* 0 for a micrograph that the profile refuses. */
static double aspire_bytes(const struct ps_config *config, const struct ps_image *image,
                           double diameter)
{
    struct ps_aspire parameters;
    if (ps_aspire_parameters(config, diameter, image->width, image->height, &parameters, NULL))
        return 0;
    const double side = parameters.side;
    const double windows = side - parameters.query + 1;
    const double queries = parameters.queries;
    const double containers = floor(side / parameters.container);
    const double responses = RESPONSE_BYTES * queries * queries * containers * containers;
    return SHRUNK_BYTES * side * side + WINDOW_BYTES * windows * windows +
           fmin(responses, MAX_RESPONSES_BYTES);
}

uint64_t ps_picker_memory(const struct ps_config *config, bool gpu, const struct ps_image *image)
{
    const double pixels = (double)image->width * image->height;
    const double stored = pixels * (double)ps_pixel_bytes(image->type);
    const double pixel_size =
        config->picker.pixel_size > 0 ? config->picker.pixel_size : image->pixel_size;
    double diameter;
    if (ps_picker_diameter(config, pixel_size, &diameter, NULL))
        return 0;
    if (gpu) /* the pixels, and a copy that the GPU can read */
        return (uint64_t)(GPU_PROCESS_BYTES + 2 * stored);
    const double converted = image->type == PS_PIXEL_F32 ? 0 : FLOAT_BYTES * pixels;
    return (uint64_t)(CPU_PROCESS_BYTES + stored + converted +
                      (config->picker.profile == PS_PROFILE_ASPIRE
                           ? aspire_bytes(config, image, diameter)
                           : adaptive_bytes(image, diameter)));
}

static int admit(const void *context, const struct ps_image *image, struct ps_error *error)
{
    const struct ps_picker_budget *budget = context;
    const uint64_t bytes = ps_picker_memory(budget->config, budget->gpu, image);
    if (bytes <= budget->limit_bytes)
        return 0;
    return ps_fail(error, PS_E_INPUT, "needs about %.1f GB of memory, %.1f GB are there",
                   (double)bytes * 1e-9, (double)budget->limit_bytes * 1e-9);
}

struct ps_read_options ps_picker_read_options(const struct ps_picker_budget *budget)
{
    return (struct ps_read_options){
        .movies = budget->config->input.movies,
        .max_pixels = budget->config->compute.max_pixels,
        .admit = admit,
        .admit_context = budget,
    };
}
