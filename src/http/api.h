/* JSON answers from the journal. */
#ifndef PS_HTTP_API_H
#define PS_HTTP_API_H

#include "pickstream.h"

#include <jansson.h>
#include <microhttpd.h>

struct ps_http;

enum MHD_Result ps_http_api_status(struct ps_http *http, struct MHD_Connection *connection);
enum MHD_Result ps_http_api_list(struct ps_http *http, struct MHD_Connection *connection);
enum MHD_Result ps_http_api_one(struct ps_http *http, struct MHD_Connection *connection,
                                uint64_t seq);

/* Calls `row` with the summary of up to `limit` outcomes after seq `after`. PS_E_SYSTEM,
 * PS_E_NOMEM. */
int ps_http_api_rows(struct ps_http *http, uint64_t after, uint64_t limit,
                     int (*row)(void *context, uint64_t seq, json_t *summary), void *context,
                     struct ps_error *error);

#endif
