#ifndef PS_HTTP_ROUTES_H
#define PS_HTTP_ROUTES_H

#include <microhttpd.h>

struct ps_http;

/* Answers a complete GET or HEAD request. */
enum MHD_Result ps_http_route(struct ps_http *http, struct MHD_Connection *connection,
                              const char *path);

#endif
