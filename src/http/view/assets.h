/* The page of the live view, embedded in the program: index.html, view.css and the scripts in this
 * folder, and dygraphs (MIT), which draws the plots, from Debian's package libjs-dygraphs. Without
 * the package plot.js is empty and the page has no plots.
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
