/* Answers to requests. */
#ifndef PS_HTTP_ANSWER_H
#define PS_HTTP_ANSWER_H

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

/* Queues a response, which it takes (NULL: no memory, the connection is closed), with the headers
 * that all have. `type` is its media type, `cache` its Cache-Control. */
enum MHD_Result ps_http_answer(struct MHD_Connection *connection, unsigned status,
                               struct MHD_Response *response, const char *type, const char *cache);
/* Text that was allocated, which it takes; NULL is a lack of memory. Not to be cached. */
enum MHD_Result ps_http_answer_text(struct MHD_Connection *connection, unsigned status, char *text,
                                    size_t size, const char *type);
/* JSON, whose reference it takes. */
enum MHD_Result ps_http_answer_json(struct MHD_Connection *connection, unsigned status,
                                    json_t *json);
/* {"type": "error", "reason": ...} */
enum MHD_Result ps_http_refuse(struct MHD_Connection *connection, unsigned status,
                               const char *reason);

/* The parameter of that name as a whole number in [min, max], `fallback` where there is none;
 * false: it is something else. */
bool ps_http_number(struct MHD_Connection *connection, const char *name, uint64_t min, uint64_t max,
                    uint64_t fallback, uint64_t *ret);

#endif
