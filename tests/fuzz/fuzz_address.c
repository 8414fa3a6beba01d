/* Fuzzes the parsers of addresses: endpoints, http.listen, and the Host header of a request. What
 * counts as local must begin as one of the few names that are, whatever stands behind. */
#include "http/listen_address.h"
#include "transport/endpoint.h"

#include "file.h"

#include <strings.h>

/* One of the names of the loopback, followed by a colon or the end. */
static bool names_loopback(const char *text)
{
    size_t length = *text == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":");
    if (length > strlen(text) || (text[length] != '\0' && text[length] != ':'))
        return false;
    if (length == strlen("localhost") && strncasecmp(text, "localhost", length) == 0)
        return true;
    if (*text == '[') /* any way to write ::1 */
        return length >= 5 && text[length - 2] == '1' && strspn(text + 1, "0:1") == length - 2;
    return strncmp(text, "127.", 4) == 0 && strspn(text, "0123456789.") == length;
}

static void check_endpoint(const char *text)
{
    struct ps_error error = {0};
    int status = ps_endpoint_check("publish.endpoint", text, &error);
    if (status != 0 && error.message[0] == '\0')
        abort();
    bool ipc = strncmp(text, "ipc://", 6) == 0;
    bool tcp = strncmp(text, "tcp://", 6) == 0;
    if (status == 0 && !ipc && !tcp)
        abort();
    if (status == 0 && ps_endpoint_is_local(text) && tcp && !names_loopback(text + 6))
        abort();
}

static void check_listen(const char *text)
{
    struct ps_error error = {0};
    struct ps_http_address address;
    if (ps_http_listen(text, false, &address, &error) == 0) {
        if (!address.local || !names_loopback(text) || strlen(address.url) < 14)
            abort();
        (void)close(address.socket);
    } else if (error.message[0] == '\0') {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char *text = malloc(length + 1);
    if (!text)
        abort();
    if (length)
        memcpy(text, bytes, length);
    text[length] = '\0';
    if (*text && ps_http_host_is_local(text) && !names_loopback(text))
        abort();
    check_endpoint(text);
    check_listen(text);
    free(text);
    return 0;
}
