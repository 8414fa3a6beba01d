/* Queueing the answers to requests. */
#ifndef PS_HTTP_ANSWER_H
#define PS_HTTP_ANSWER_H

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

/* Queues a response with the common headers, and takes ownership of it; NULL (no memory) closes the
 * connection. `type` is the media type, `cache` the value of Cache-Control. */
enum MHD_Result ps_http_answer(struct MHD_Connection *connection, unsigned status,
                               struct MHD_Response *response, const char *type, const char *cache);
/* Answers with allocated text, and takes ownership of it; NULL means no memory. Not cached. */
enum MHD_Result ps_http_answer_text(struct MHD_Connection *connection, unsigned status, char *text,
                                    size_t size, const char *type);
/* Answers with JSON; takes the reference. */
enum MHD_Result ps_http_answer_json(struct MHD_Connection *connection, unsigned status,
                                    json_t *json);
/* Answers {"type": "error", "reason": ...}. */
enum MHD_Result ps_http_refuse(struct MHD_Connection *connection, unsigned status,
                               const char *reason);

/* Reads a query parameter as a whole number in [min, max]; `fallback` if it is missing. False if it
 * is anything else. */
bool ps_http_number(struct MHD_Connection *connection, const char *name, uint64_t min, uint64_t max,
                    uint64_t fallback, uint64_t *ret);

#endif
