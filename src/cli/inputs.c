#include "cli/inputs.h"

#include "base/error.h"
#include "base/text.h"
#include "layout/versions.h"
#include "picks/micrograph_list.h"
#include "picks/relion.h"
#include "service/shortage.h"

#include <errno.h>
#include <fts.h>
#include <glob.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

/* An operand. Names are relative to the real path of `base`. */
struct operand {
    char *path;
    char *base;  /* real path of the directory, or of the directory of the file; NULL: missing */
    int missing; /* errno of the failure */
    bool directory;
    char *listed; /* as in struct ps_found */
    double pixel_size;
};

struct finder {
    const struct ps_config *config;
    struct operand *operands;
    size_t operand_count;
    size_t root_length; /* of the common parent of all bases, with its slash */
    struct ps_found_list list;
    size_t capacity;
};

/* ---- operands ---------------------------------------------------------------------------------
 */

static int add_operand(struct finder *finder, const char *path, struct ps_error *error)
{
    struct operand *grown =
        realloc(finder->operands, (finder->operand_count + 1) * sizeof *finder->operands);
    if (grown)
        finder->operands = grown;
    struct operand operand = {.path = strdup(path)};
    char *parent = strdup(path);
    if (!grown || !operand.path || !parent) {
        free(operand.path);
        free(parent);
        return ps_fail_memory(error, strlen(path), "a path");
    }
    /* A dangling link counts as a file: picking it reports the error. A directory that cannot be
     * looked at must not. */
    struct stat info;
    if (lstat(path, &info) == 0) {
        bool seen = stat(path, &info) == 0;
        operand.directory = seen && S_ISDIR(info.st_mode);
        if (seen || errno == ENOENT || errno == ELOOP)
            operand.base = realpath(operand.directory ? path : dirname(parent), NULL);
    }
    operand.missing = operand.base ? 0 : errno;
    finder->operands[finder->operand_count++] = operand;
    free(parent);
    return 0;
}

/* Adds the micrographs of a list of RELION. */
static int add_listed(struct finder *finder, const char *list_path, struct ps_error *error)
{
    struct ps_micrograph_list list = {0};
    int status = ps_micrograph_list_read(list_path, &list, error);
    if (status == 0 && list.count == 0)
        status = ps_fail(error, PS_E_INPUT, "%s: no micrographs in this list", list_path);
    for (size_t i = 0; i < list.count && status == 0; i++) {
        struct ps_listed_micrograph *item = &list.items[i];
        char *path = ps_relion_locate(list_path, item->name);
        status = path ? add_operand(finder, path, error)
                      : ps_fail_memory(error, strlen(item->name), "a path");
        free(path);
        if (status)
            break;
        struct operand *operand = &finder->operands[finder->operand_count - 1];
        operand->listed = item->name;
        operand->pixel_size = item->pixel_size;
        item->name = NULL;
    }
    ps_micrograph_list_done(&list);
    return status;
}

static int add_operands(struct finder *finder, const char *text, struct ps_error *error)
{
    struct stat info;
    const bool there = lstat(text, &info) == 0;
    if (there && ps_text_ends_with(text, ".star") && stat(text, &info) == 0 &&
        !S_ISDIR(info.st_mode))
        return add_listed(finder, text, error);
    if (there || !strpbrk(text, "*?["))
        return add_operand(finder, text, error);
    glob_t matches;
    int status = 0;
    if (glob(text, 0, NULL, &matches) != 0)
        return add_operand(finder, text, error);
    for (size_t i = 0; i < matches.gl_pathc && status == 0; i++)
        status = add_operand(finder, matches.gl_pathv[i], error);
    globfree(&matches);
    return status;
}

/* Length of the deepest common parent directory of both paths, with its slash. */
static size_t common_directory(const char *a, const char *b, size_t limit)
{
    size_t common = 0;
    for (size_t i = 0; i < limit; i++) {
        char x = a[i] ? a[i] : '/';
        char y = b[i] ? b[i] : '/';
        if (x != y)
            break;
        if (x == '/')
            common = i + 1;
        if (!a[i] || !b[i])
            break;
    }
    return common;
}

static void find_root(struct finder *finder)
{
    const char *first = NULL;
    for (size_t i = 0; i < finder->operand_count; i++) {
        const char *base = finder->operands[i].base;
        if (!first && base)
            finder->root_length = strlen(first = base) + 1;
        else if (base)
            finder->root_length = common_directory(first, base, finder->root_length);
    }
}

/* ---- files ------------------------------------------------------------------------------------
 */

static void found_done(struct ps_found *found)
{
    free(found->path);
    free(found->name);
    free(found->problem);
    free(found->listed);
}

/* Adds the file at `path`, which is `below` the base of its operand. */
static int add_file(struct finder *finder, const struct operand *operand, const char *path,
                    const char *below, const char *problem, struct ps_error *error)
{
    if (finder->list.count == finder->capacity) {
        size_t capacity = finder->capacity ? 2 * finder->capacity : 256;
        struct ps_found *items = realloc(finder->list.items, capacity * sizeof *items);
        if (!items)
            return ps_fail_memory(error, capacity * sizeof *items, "the list of micrographs");
        finder->list.items = items;
        finder->capacity = capacity;
    }
    struct ps_found found = {.path = strdup(path), .pixel_size = operand->pixel_size};
    const char *base = operand->base;
    const char *inner =
        base && strlen(base) > finder->root_length ? base + finder->root_length : "";
    if (asprintf(&found.name, "%s%s%s", inner, *inner ? "/" : "", below) < 0)
        found.name = NULL;
    if (problem)
        found.problem = strdup(problem);
    if (operand->listed)
        found.listed = strdup(operand->listed);
    if (!found.path || !found.name || (problem && !found.problem) ||
        (operand->listed && !found.listed)) {
        found_done(&found);
        return ps_fail_memory(error, strlen(path), "a path");
    }
    finder->list.items[finder->list.count++] = found;
    return 0;
}

static int by_entry_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Adds a file below a directory, or notes the rule that leaves it out. */
static int judge_file(struct finder *finder, const struct operand *operand, const char *path,
                      const char *below, struct ps_error *error)
{
    char better[PATH_MAX];
    const enum ps_rule rule = ps_layout_judge(finder->config, path, (size_t)(below - path));
    if (rule == PS_RULE_OTHER)
        return 0;
    if (rule != PS_RULE_NONE)
        return ps_left_out_add(&finder->list.left_out, path, rule, NULL, error);
    if (ps_version_better(finder->config, path, (size_t)(below - path), better))
        return ps_left_out_add(&finder->list.left_out, path, PS_RULE_VERSION, better, error);
    return add_file(finder, operand, path, below, NULL, error);
}

/* True for a micrograph, by its name, that the machine does not let us look at now: it is tried,
 * and tried again, as one that cannot be read. */
static bool is_worth_a_try(const struct finder *finder, const FTSENT *entry, const char *below)
{
    return entry->fts_info == FTS_NS && entry->fts_errno != EACCES &&
           ps_is_shortage_of_stat(entry->fts_errno) &&
           ps_layout_judge(finder->config, entry->fts_path, (size_t)(below - entry->fts_path)) ==
               PS_RULE_NONE;
}

static int visit(struct finder *finder, const struct operand *operand, FTS *tree, FTSENT *entry,
                 struct ps_error *error)
{
    const char *below = entry->fts_path + strlen(operand->path);
    while (*below == '/')
        below++;
    switch (entry->fts_info) {
    case FTS_D:
        if (entry->fts_level > 0 && (!finder->config->input.recursive || entry->fts_name[0] == '.'))
            (void)fts_set(tree, entry, FTS_SKIP);
        return 0;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        if (is_worth_a_try(finder, entry, below))
            return judge_file(finder, operand, entry->fts_path, below, error);
        return add_file(finder, operand, entry->fts_path, below, strerror(entry->fts_errno), error);
    case FTS_DP:
    case FTS_DC: /* a cycle of links: the directory has been visited */
        return 0;
    default:
        return judge_file(finder, operand, entry->fts_path, below, error);
    }
}

/* Follows links, but keeps the paths as given. */
static int search_directory(struct finder *finder, const struct operand *operand,
                            struct ps_error *error)
{
    char *const paths[] = {operand->path, NULL};
    FTS *tree = fts_open(paths, FTS_LOGICAL | FTS_NOCHDIR, by_entry_name);
    if (!tree)
        return ps_fail(error, PS_E_SYSTEM, "%s: %s", operand->path, strerror(errno));
    const size_t before = finder->list.count;
    struct ps_rule_counts counts = finder->list.left_out.counts;
    int status = 0;
    FTSENT *entry;
    while (status == 0 && (entry = fts_read(tree)) != NULL)
        status = visit(finder, operand, tree, entry, error);
    if (status == 0 && errno) /* fts_read() sets it to 0 at the end of the tree */
        status = ps_fail(error, errno == ENOMEM ? PS_E_NOMEM : PS_E_SYSTEM,
                         "%s: cannot be searched: %s", operand->path, strerror(errno));
    (void)fts_close(tree);
    if (status == 0 && finder->list.count == before) {
        for (int rule = 0; rule < PS_RULE_COUNT; rule++)
            counts.of[rule] = finder->list.left_out.counts.of[rule] - counts.of[rule];
        ps_left_out_print_empty(operand->path, &counts);
    }
    return status;
}

/* A file on the command line is taken, whatever its name says. */
static int take_operand(struct finder *finder, const struct operand *operand,
                        struct ps_error *error)
{
    const char *slash = strrchr(operand->path, '/');
    const char *name = slash ? slash + 1 : operand->path;
    char better[PATH_MAX];
    enum ps_rule rule = PS_RULE_NONE;
    if (ps_layout_has_rules(finder->config, name))
        rule = ps_layout_looks_like(operand->path);
    if (rule == PS_RULE_NONE &&
        ps_version_better(finder->config, operand->path, (size_t)(name - operand->path), better))
        for (size_t i = 0; rule == PS_RULE_NONE && i < finder->operand_count; i++)
            if (strcmp(finder->operands[i].path, better) == 0)
                rule = PS_RULE_VERSION;
    finder->list.left_out.named.of[rule]++;
    return add_file(finder, operand, operand->path, name, NULL, error);
}

static int search(struct finder *finder, struct ps_error *error)
{
    int status = 0;
    for (size_t i = 0; i < finder->operand_count && status == 0; i++) {
        const struct operand *operand = &finder->operands[i];
        if (operand->directory) {
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): ps_find() frees the operands */
            status = search_directory(finder, operand, error);
        } else if (!operand->base) {
            status = add_file(finder, operand, operand->path, operand->path,
                              strerror(operand->missing), error);
        } else {
            status = take_operand(finder, operand, error);
        }
    }
    return status;
}

/* ---- the list ---------------------------------------------------------------------------------
 */

/* Sorts by name; files that can be picked come before those that cannot. */
static int by_name(const void *left, const void *right)
{
    const struct ps_found *a = left;
    const struct ps_found *b = right;
    int order = strcmp(a->name, b->name);
    if (order == 0)
        order = (a->problem != NULL) - (b->problem != NULL);
    return order ? order : strcmp(a->path, b->path);
}

/* A missing file has its path as its name, which can equal another file's name by accident. */
static bool same_file(const struct ps_found *a, const struct ps_found *b)
{
    return strcmp(a->name, b->name) == 0 && !a->problem == !b->problem;
}

/* Sorts the list and drops duplicate files. */
static void resolve_names(struct ps_found_list *list)
{
    if (list->count == 0)
        return;
    qsort(list->items, list->count, sizeof *list->items, by_name);
    size_t kept = 1;
    for (size_t i = 1; i < list->count; i++) {
        if (same_file(&list->items[i], &list->items[kept - 1]))
            found_done(&list->items[i]);
        else
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

/* ---- names in a RELION project ----------------------------------------------------------------
 */

/* Files that cannot be picked keep their names. */
static int name_by_project(struct ps_found_list *list, const struct ps_relion *relion,
                           struct ps_error *error)
{
    const char **paths = calloc(list->count + 1, sizeof *paths);
    char **names = calloc(list->count + 1, sizeof *names);
    for (size_t i = 0; paths && i < list->count; i++)
        paths[i] = list->items[i].problem ? NULL : list->items[i].path;
    int status = paths && names ? ps_relion_names(relion, paths, list->count, names, error)
                                : ps_fail_memory(error, list->count * sizeof *names, "paths");
    for (size_t i = 0; i < list->count && status == 0; i++) {
        if (names[i]) {
            free(list->items[i].name);
            list->items[i].name = names[i];
        }
    }
    free(paths);
    free(names);
    return status;
}

static int rename_all(struct ps_found_list *list, const struct ps_config *config,
                      struct ps_error *error)
{
    struct ps_relion *relion = NULL;
    int status =
        ps_relion_find(config->output.relion_project, config->output.directory, &relion, error);
    if (status == 0 && relion)
        status = name_by_project(list, relion, error);
    ps_relion_free(relion);
    return status;
}

int ps_find(const struct ps_config *config, char *const *operands, size_t count,
            struct ps_found_list *ret_list, struct ps_error *error)
{
    struct finder finder = {.config = config};
    int status = 0;
    for (size_t i = 0; i < count && status == 0; i++)
        status = add_operands(&finder, operands[i], error);
    if (status == 0 && finder.operand_count > 0) {
        find_root(&finder);
        status = search(&finder, error);
    }
    if (status == 0)
        status = rename_all(&finder.list, config, error);
    if (status == 0)
        resolve_names(&finder.list);
    for (size_t i = 0; i < finder.operand_count; i++) {
        free(finder.operands[i].path);
        free(finder.operands[i].base);
        free(finder.operands[i].listed);
    }
    free(finder.operands);
    if (status)
        ps_found_list_done(&finder.list);
    else
        *ret_list = finder.list;
    return status;
}

void ps_found_list_done(struct ps_found_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        found_done(&list->items[i]);
    free(list->items);
    ps_left_out_done(&list->left_out);
    *list = (struct ps_found_list){0};
}

void ps_found_list_keep(struct ps_found_list *list, bool (*keep)(const struct ps_found *, void *),
                        void *context)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (keep(&list->items[i], context))
            list->items[kept++] = list->items[i];
        else
            found_done(&list->items[i]);
    }
    list->count = kept;
}

/* A CRC is linear: for file names that differ in a few digits its lowest bits are unevenly
 * distributed, and the sizes of shards 1/4 to 4/4 would differ by half. The remainder by a prime is
 * evenly distributed. */
enum { SHARD_PRIME = 1000003 };

static bool in_shard(const struct ps_found *found, void *context)
{
    const struct ps_shard *shard = context;
    uLong sum = crc32_z(0, (const Bytef *)found->name, strlen(found->name));
    return sum % SHARD_PRIME % shard->of == shard->number - 1;
}

void ps_found_list_shard(struct ps_found_list *list, struct ps_shard shard)
{
    ps_found_list_keep(list, in_shard, &shard);
}
