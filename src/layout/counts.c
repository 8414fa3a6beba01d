#include "layout/layout.h"

#include <stdio.h>

static const struct {
    const char *key;
    const char *text;
} rules[PS_RULE_COUNT] = {
#define X(NAME, key, text) [PS_RULE_##NAME] = {key, text},
    PS_RULE_MAP(X)
#undef X
};

const char *ps_rule_key(enum ps_rule rule)
{
    return rules[rule].key ? rules[rule].key : "";
}

const char *ps_rule_text(enum ps_rule rule)
{
    return rules[rule].text ? rules[rule].text : "";
}

size_t ps_rule_counts_text(const struct ps_rule_counts *counts, char *text, size_t size)
{
    size_t total = 0, at = 0;
    *text = '\0';
    for (int rule = PS_RULE_OTHER + 1; rule < PS_RULE_COUNT; rule++) {
        if (!counts->of[rule])
            continue;
        total += counts->of[rule];
        const int length = snprintf(text + at, size - at, "%s%zu %s", at ? ", " : "",
                                    counts->of[rule], ps_rule_text(rule));
        if (length > 0 && (size_t)length < size - at)
            at += (size_t)length;
    }
    return total;
}
