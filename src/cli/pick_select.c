#include "cli/pick_select.h"

#include "base/text.h"
#include "cli/print.h"

#include <stdio.h>
#include <string.h>

bool ps_shard_parse(const char *text, struct ps_shard *ret_shard)
{
    const char *slash = strchr(text, '/');
    char first[PS_NUMBER_TEXT];
    if (!slash || (size_t)(slash - text) >= sizeof first)
        return false;
    (void)snprintf(first, sizeof first, "%.*s", (int)(slash - text), text);
    uint64_t number;
    uint64_t of;
    if (!ps_text_to_uint(slash + 1, 1, UINT32_MAX, &of) || !ps_text_to_uint(first, 1, of, &number))
        return false;
    *ret_shard = (struct ps_shard){(uint32_t)number, (uint32_t)of};
    return true;
}

struct resuming {
    const struct ps_pick_output *output;
    struct ps_error *error;
    int status;
};

/* For ps_found_list_keep(). */
static bool is_left(const struct ps_found *found, void *context)
{
    struct resuming *resuming = context;
    bool done = false;
    if (resuming->status == 0)
        resuming->status = ps_pick_output_resume(resuming->output, found, &done, resuming->error);
    return !done;
}

int ps_pick_keep_left(struct ps_found_list *list, const struct ps_pick_output *output,
                      struct ps_error *error)
{
    struct resuming resuming = {.output = output, .error = error};
    ps_found_list_keep(list, is_left, &resuming);
    return resuming.status;
}

/* Without `null`, as one printable line: a name can contain a line end. */
static void print_text(const char *text, bool null)
{
    if (null)
        (void)fwrite(text, 1, strlen(text) + 1, stdout);
    else
        ps_print(stdout, "%s", text);
}

bool ps_pick_print_list(const struct ps_found_list *list, bool null, bool names)
{
    bool ok = true;
    for (size_t i = 0; i < list->count; i++) {
        const struct ps_found *found = &list->items[i];
        if (found->problem) {
            ps_say("pickstream: %s: %s", found->path, found->problem);
            ok = false;
        } else {
            print_text(found->path, null);
            if (names)
                print_text(found->name, null);
        }
    }
    return ok;
}
