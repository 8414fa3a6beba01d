#include "http/view/assets.h"

#include <stddef.h>

/* PS_VIEW_PLOT, from the Makefile, is the directory with plot.js, plot.css and plot-licence.txt. */
#ifndef PS_VIEW_PLOT
#define PS_VIEW_PLOT "src/http/view"
#endif

/* Embeds the bytes of a file between two symbols. */
#define EMBED(name, file)                                                                          \
    extern const char ps_view_##name[] __attribute__((visibility("hidden")));                      \
    extern const char ps_view_##name##_end[] __attribute__((visibility("hidden")));                \
    __asm__(".pushsection .rodata\n"                                                               \
            ".global ps_view_" #name "\n.hidden ps_view_" #name "\nps_view_" #name ":\n"           \
            ".incbin \"" file "\"\n"                                                               \
            ".global ps_view_" #name "_end\n.hidden ps_view_" #name "_end\nps_view_" #name         \
            "_end:\n.byte 0\n.popsection\n");

EMBED(index, "src/http/view/index.html")
EMBED(style, "src/http/view/view.css")
EMBED(micrograph, "src/http/view/micrograph.js")
EMBED(timeline, "src/http/view/timeline.js")
EMBED(script, "src/http/view/view.js")
EMBED(icon, "src/http/view/icon.svg")
EMBED(plot, PS_VIEW_PLOT "/plot.js")
EMBED(plot_style, PS_VIEW_PLOT "/plot.css")
EMBED(plot_licence, PS_VIEW_PLOT "/plot-licence.txt")

#define ASSET(path, type, name)                                                                    \
    {                                                                                              \
        path, type, ps_view_##name, ps_view_##name##_end                                           \
    }

const struct ps_view_asset ps_view_assets[] = {
    ASSET("/", "text/html; charset=utf-8", index),
    ASSET("/view.css", "text/css; charset=utf-8", style),
    ASSET("/micrograph.js", "text/javascript; charset=utf-8", micrograph),
    ASSET("/timeline.js", "text/javascript; charset=utf-8", timeline),
    ASSET("/view.js", "text/javascript; charset=utf-8", script),
    ASSET("/icon.svg", "image/svg+xml", icon),
    ASSET("/plot.js", "text/javascript; charset=utf-8", plot),
    ASSET("/plot.css", "text/css; charset=utf-8", plot_style),
    ASSET("/plot-licence.txt", "text/plain; charset=utf-8", plot_licence),
    {NULL, NULL, NULL, NULL},
};
