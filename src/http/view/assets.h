/* The page of the live view, inside the program: index.html, view.css and the scripts beside this
 * file, and dygraphs (MIT), which draws the plots, from Debian's package libjs-dygraphs as the
 * Makefile found it. Without the package plot.js is empty, and the page is without plots.
 */
#ifndef PS_HTTP_VIEW_ASSETS_H
#define PS_HTTP_VIEW_ASSETS_H

struct ps_view_asset {
    const char *path; /* "/view.js"; NULL behind the last */
    const char *type; /* its media type */
    const char *begin, *end;
};

extern const struct ps_view_asset ps_view_assets[];

#endif
