#include "http/answer.h"

#include "base/text.h"
#include "wire/header.h"
#include "wire/json.h"

#include <stdlib.h>
#include <string.h>

/* The page loads scripts, styles, images and data from this server only, and sends nothing to any
 * other. */
static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; "
                             "img-src 'self'; connect-src 'self'; base-uri 'none'; "
                             "form-action 'none'; frame-ancestors 'self'";

static const char never[] = "no-store";

enum MHD_Result ps_http_answer(struct MHD_Connection *connection, unsigned status,
                               struct MHD_Response *response, const char *type, const char *cache)
{
    const char *const headers[][2] = {
        {MHD_HTTP_HEADER_CONTENT_TYPE, type},  {MHD_HTTP_HEADER_CACHE_CONTROL, cache},
        {"Content-Security-Policy", policy},   {"Cross-Origin-Resource-Policy", "same-origin"},
        {"X-Content-Type-Options", "nosniff"}, {"Referrer-Policy", "no-referrer"},
    };
    enum MHD_Result result = response ? MHD_YES : MHD_NO;
    for (size_t i = 0; i < sizeof headers / sizeof *headers && result == MHD_YES; i++)
        result = MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (result == MHD_YES && status == MHD_HTTP_METHOD_NOT_ALLOWED)
        result = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    if (result == MHD_YES)
        result = MHD_queue_response(connection, status, response);
    if (response)
        MHD_destroy_response(response);
    return result;
}

enum MHD_Result ps_http_answer_text(struct MHD_Connection *connection, unsigned status, char *text,
                                    size_t size, const char *type)
{
    struct MHD_Response *response =
        text ? MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE) : NULL;
    if (!response)
        free(text);
    return ps_http_answer(connection, status, response, type, never);
}

enum MHD_Result ps_http_answer_json(struct MHD_Connection *connection, unsigned status,
                                    json_t *json)
{
    char *text = ps_json_dump(json, PS_JSON_FORMAT);
    json_decref(json);
    return ps_http_answer_text(connection, status, text, text ? strlen(text) : 0,
                               "application/json");
}

enum MHD_Result ps_http_refuse(struct MHD_Connection *connection, unsigned status,
                               const char *reason)
{
    return ps_http_answer_json(connection, status,
                               json_pack("{s:s, s:s, s:o}", "schema", PS_WIRE_SCHEMA, "type",
                                         PS_WIRE_TYPE_ERROR, "reason", ps_json_text(reason)));
}

bool ps_http_number(struct MHD_Connection *connection, const char *name, uint64_t min, uint64_t max,
                    uint64_t fallback, uint64_t *ret)
{
    const char *text = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
    if (text)
        return ps_text_to_uint(text, min, max, ret);
    *ret = fallback;
    return true;
}
