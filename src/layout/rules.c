/* The rules by name. Each function recognises what certain programs write; the tests cite them. */
#include "layout/layout.h"

#include "layout/name.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- references ------------------------------------------------------------------------------
 */

/* Parts that follow "gain" in the name of a gain reference that was converted for another program.
 */
static bool follows_gain(const struct ps_name *name, int i, bool dated)
{
    static const char words[] = "ref reference map file image flip flipx flipy flipped flipud "
                                "fliplr rot rotated rot90 rot180 rot270 90 180 270 x y xy k2 k3 "
                                "falcon3 falcon4 falcon4i norm normalized superres super res count "
                                "counting inv inverted inverse final avg average";
    return ps_name_part_is(name, i, words) ||
           (dated &&
            (ps_name_part_is_number(name, i, 8, 8) ||
             (ps_name_part_is_number(name, i, 6, 6) && ps_name_part_is_number(name, i - 1, 8, 8))));
}

/* gain.mrc, x_gain.tiff and x-gain-ref.MRC (EPU), 20220406_175020_EER_GainReference.tif (EPU),
 * CountRef_x.mrc and SuperRef_x.mrc (SerialEM), gain_flipx.mrc; x_defects.tif, defects_x.tif. Not
 * GAIN-domain_0002, gain_of_function_01. */
static bool is_reference(const struct ps_name *name)
{
    if (ps_name_part_is(name, 0, "defects defectmap") ||
        ps_name_part_is(name, -1, "defects defectmap darkref") ||
        (ps_name_part_is(name, -2, "defect defects dark") &&
         ps_name_part_is(name, -1, "map file ref reference")) ||
        (name->count == 1 && ps_name_part_is(name, 0, "dark")))
        return true;
    for (int i = 0; i < (int)name->count; i++) {
        if (ps_name_part_is(name, i, "countref superref darkref"))
            return true;
        const bool certain = ps_name_part_is(name, i, "gainref gainreference");
        if (!certain && !ps_name_part_is(name, i, "gain"))
            continue;
        int j = i + 1;
        while (j < (int)name->count && follows_gain(name, j, certain || i == 0))
            j++;
        if (j == (int)name->count)
            return true;
    }
    return false;
}

/* ---- spectra ---------------------------------------------------------------------------------
 */

/* x_PS.mrc (RELION), x_Ctf.mrc (MotionCor3), x_ctf_spectrum.mrc (GCtfFind), diagnostic_output.mrc
 * (ctffind), x_pspec.mrc and x_ctf_estimate_diag (SIMPLE), x_psd.mrc (Scipion). */
static bool is_spectrum(const struct ps_name *name)
{
    static const char follows_ctf[] = "spectrum spectra diag diagnostic avg avrot fit fitted "
                                      "estimate output out image mixed power rotavg ps";
    if (ps_name_part_is(name, -1,
                        "PS pspec pspecs psd powspec powerspectrum powerspectra spectrum fft diag "
                        "diagnostic"))
        return true;
    if (ps_name_part_is(name, 0, "diagnostic") && ps_name_part_is(name, 1, "output image"))
        return true;
    for (int i = (int)name->count - 1; i >= 0; i--) {
        if (ps_name_part_is(name, i, "ctf ctffind ctffind3 ctffind4 ctffind5 gctf ctffit"))
            return i > 0; /* a name that begins so can be a sample's: "Ctf4" */
        if (!ps_name_part_is(name, i, follows_ctf))
            return false;
    }
    return false;
}

/* ---- movies ----------------------------------------------------------------------------------
 */

static bool contains(const char *text, size_t length, const char *word)
{
    const size_t size = strlen(word);
    for (size_t i = 0; i + size <= length; i++)
        if (strncasecmp(text + i, word, size) == 0)
            return true;
    return false;
}

/* Motion correction keeps the names of its movies and, in RELION, their directories. */
static bool is_motion_corrected(const struct ps_name *name)
{
    static const char *const beside[] = {".star",     "_DW.mrc",   "_DWS.mrc",
                                         "_noDW.mrc", "-Full.log", "-Patch-Full.log"};
    if (contains(name->path, name->directory, "motioncor"))
        return true;
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++)
        if (ps_name_exists(name, name->stem, beside[i]))
            return true;
    return false;
}

/* The directory of the file is Data in GridSquare_N, as EPU makes them. */
static bool is_in_epu_data(const struct ps_name *name)
{
    static const char data[] = "/Data/";
    if (name->directory < strlen(data) ||
        strncmp(name->path + name->directory - strlen(data), data, strlen(data)) != 0)
        return false;
    size_t start = name->directory - strlen(data);
    while (start > 0 && name->path[start - 1] != '/')
        start--;
    return strncmp(name->path + start, "GridSquare_", strlen("GridSquare_")) == 0;
}

/* x_Fractions.mrc and x_fractions.tiff (EPU), x_frames.tif (SerialEM), x_Stk.mrc (MotionCor: the
 * aligned frames), x.mrcs beside x.mrc. But MotionCor and RELION call the average of
 * x_fractions.tiff x_fractions.mrc: a name like this with the extension mrc is a movie if EPU's or
 * SerialEM's other files of the exposure are beside it. */
static bool is_movie(const struct ps_name *name, bool alone)
{
    static const char *const beside[] = {".mrc", ".xml", ".jpg", ".mdoc"};
    if (ps_name_part_is(name, -1, "Stk"))
        return true;
    if (!alone && ps_name_has_extension(name, "mrcs") && ps_name_exists(name, name->stem, ".mrc"))
        return true;
    if (!ps_name_part_is(name, -1, "fractions frames movie movies"))
        return false;
    if (ps_name_has_extension(name, "tif tiff mrcs"))
        return true;
    if (alone || is_motion_corrected(name))
        return false;
    if (is_in_epu_data(name) || ps_name_exists(name, strlen(name->path), ".mdoc"))
        return true;
    const size_t exposure = (size_t)(name->parts[name->count - 1].text - name->path) - 1;
    for (size_t i = 0; exposure > name->directory && i < sizeof beside / sizeof *beside; i++)
        if (ps_name_exists(name, exposure, beside[i]))
            return true;
    return false;
}

/* ---- overviews -------------------------------------------------------------------------------
 */

/* 09mar16a_00005gr_00003sq.mrc: Leginon's last part has the preset, here of a square. */
static bool is_leginon_overview(const struct ps_name *name)
{
    if (name->count < 2)
        return false;
    const struct ps_name_part *last = &name->parts[name->count - 1];
    static const char *const presets[] = {"gr", "sq", "hl"};
    if (last->length != 7)
        return false;
    for (size_t i = 0; i < 5; i++)
        if (!isdigit((unsigned char)last->text[i]))
            return false;
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (strncmp(last->text + 5, presets[i], 2) == 0)
            return true;
    return false;
}

/* All parts from the second on are numbers, and there is one. */
static bool is_numbered(const struct ps_name *name)
{
    for (int i = 1; i < (int)name->count; i++)
        if (!ps_name_part_is_number(name, i, 1, 20))
            return false;
    return name->count > 1;
}

/* GridSquare_20250108_151151, FoilHole_9015889_20250108_154715, Tile_18522_0_1, Atlas_1 (EPU);
 * LMM_grid1, grid1_MMM, atlas (SerialEM). FoilHole_1_Data_2 is a micrograph; so is LMM_0001, of
 * light meromyosin, unless SerialEM's .mdoc is beside it. */
static bool is_overview(const struct ps_name *name, bool alone)
{
    static const char maps[] = "LMM MMM atlas";
    if (ps_name_part_is(name, 0, "GridSquare Tile") && is_numbered(name))
        return true;
    if (name->count == 4 && ps_name_part_is(name, 0, "FoilHole") && is_numbered(name) &&
        ps_name_part_is_number(name, 2, 8, 8) && ps_name_part_is_number(name, 3, 4, 6))
        return true;
    if (is_leginon_overview(name))
        return true;
    if (!ps_name_part_is(name, 0, maps) && !ps_name_part_is(name, -1, maps))
        return false;
    return !ps_name_part_is_number(name, -1, 4, 20) ||
           (!alone && ps_name_exists(name, strlen(name->path), ".mdoc"));
}

/* ---- all of them -----------------------------------------------------------------------------
 */

/* `alone`: look at the name only. */
static enum ps_rule judge_name(const struct ps_name *name, bool alone)
{
    if (ps_name_part_is(name, -1, "evn odd even"))
        return PS_RULE_HALF;
    if (ps_name_part_is(name, -1, "thumb thumbs thumbnail preview"))
        return PS_RULE_THUMBNAIL;
    if (ps_name_part_is(name, -1, "denoised denoise deconv deconvolved background mask") ||
        (ps_name_part_is(name, -1, "particles") && ps_name_has_extension(name, "mrcs")))
        return PS_RULE_DERIVED;
    if (is_spectrum(name))
        return PS_RULE_SPECTRUM;
    if (is_reference(name))
        return PS_RULE_REFERENCE;
    if (is_overview(name, alone))
        return PS_RULE_OVERVIEW;
    return is_movie(name, alone) ? PS_RULE_MOVIE : PS_RULE_NONE;
}

/* True if `part` of the path is the name of a job's directory: RELION's job012, cryoSPARC's J12. */
static bool is_job(const char *part, size_t length, const char *prefix, size_t min_digits)
{
    const size_t size = strlen(prefix);
    if (length < size + min_digits || strncmp(part, prefix, size) != 0)
        return false;
    for (size_t i = size; i < length; i++)
        if (!isdigit((unsigned char)part[i]))
            return false;
    return true;
}

static bool is_one_of(const char *part, size_t length, const char *words)
{
    const struct ps_name name = {.parts = {{part, length}}, .count = 1};
    return ps_name_part_is(&name, 0, words);
}

/* The directory at name->path[start, start + length), without its slashes, below the given one. */
static enum ps_rule judge_directory(const struct ps_name *name, size_t start, size_t length)
{
    const char *part = name->path + start;
    const size_t end = start + length + 1;
    size_t up = start ? start - 1 : 0; /* of the directory above: its first character */
    while (up > 0 && name->path[up - 1] != '/')
        up--;
    const size_t up_length = start ? start - 1 - up : 0;
    const size_t next = strcspn(name->path + end, "/");
    if (is_one_of(part, length, "FoilHoles Atlas") ||
        (length > 6 && strncmp(part + length - 6, "_Atlas", 6) == 0))
        return PS_RULE_OVERVIEW;
    if (is_one_of(part, length, "powerspectrum powerspectra ctfestimated"))
        return PS_RULE_SPECTRUM;
    if (is_one_of(part, length, "thumbnails thumbnail thumbs"))
        return PS_RULE_THUMBNAIL;
    if (is_one_of(part, length, "gainref gain_ref gain_refs gain_reference gain_references"))
        return PS_RULE_REFERENCE;
    if (is_one_of(part, length, "deconv denoised denoising") || contains(part, length, "denoised"))
        return PS_RULE_DERIVED;
    if (is_one_of(part, length, "even odd") &&
        (is_one_of(name->path + up, up_length, "average averages particles denoising") ||
         ps_name_exists(name, start, tolower((unsigned char)*part) == 'e' ? "odd" : "even")))
        return PS_RULE_HALF;
    if (is_one_of(part, length, "mask matching segmentation particles") &&
        ps_name_exists(name, start, "average"))
        return PS_RULE_DERIVED; /* Warp's, beside average/ */
    if (is_one_of(part, length, "frames") && !contains(name->path, start, "motioncor"))
        return PS_RULE_MOVIE;
    if (is_one_of(part, length,
                  "CtfFind Extract Class2D Class3D Refine3D InitialModel Polish CtfRefine "
                  "MaskCreate PostProcess LocalRes Subtract JoinStar Select") &&
        is_job(name->path + end, next, "job", 3))
        return PS_RULE_DERIVED;
    if (is_job(part, length, "J", 1) && ps_name_exists(name, end, "job.json") &&
        (end >= name->directory || is_one_of(name->path + end, next, "extract")))
        return PS_RULE_DERIVED; /* cryoSPARC's volumes, templates, stacks */
    return PS_RULE_NONE;
}

/* Warp's first versions write average/ into the directory of the movies. */
static bool is_beside_warp(const struct ps_name *name)
{
    return ps_name_exists(name, name->directory, "average/") &&
           (ps_name_exists(name, name->directory, "powerspectrum/") ||
            ps_name_exists(name, name->directory, "thumbnails/"));
}

enum ps_rule ps_layout_looks_like(const char *path)
{
    struct ps_name name;
    ps_name_split(path, &name);
    return judge_name(&name, true);
}

enum ps_rule ps_layout_judge(const struct ps_config *config, const char *path, size_t below)
{
    struct ps_name name;
    ps_name_split(path, &name);
    const char *base = path + name.directory;
    if (!ps_config_includes(config, base))
        return PS_RULE_OTHER;
    if (!ps_config_accepts(config, base))
        return PS_RULE_EXCLUDED;
    if (!ps_layout_has_rules(config, base))
        return PS_RULE_NONE;
    enum ps_rule rule = PS_RULE_NONE;
    for (size_t start = below; start < name.directory && rule == PS_RULE_NONE;) {
        const size_t length = strcspn(path + start, "/");
        if (length > 0)
            rule = judge_directory(&name, start, length);
        start += length + 1;
    }
    if (rule == PS_RULE_NONE)
        rule = judge_name(&name, false);
    return rule == PS_RULE_NONE && is_beside_warp(&name) ? PS_RULE_MOVIE : rule;
}

bool ps_layout_has_rules(const struct ps_config *config, const char *name)
{
    return config->input.layout == PS_LAYOUT_AUTO && !ps_config_names(config, name);
}
