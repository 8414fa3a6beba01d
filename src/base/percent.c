#include "base/percent.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

char *ps_percent_encode(const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t length = strlen(text);
    bool is_utf8 = ps_text_is_utf8(text, length);
    char *encoded = malloc(3 * length + 1);
    char *at = encoded;
    for (size_t i = 0; encoded && i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '%' || c < ' ' || c == 127 || (c >= 0x80 && !is_utf8)) {
            *at++ = '%';
            *at++ = digits[c >> 4];
            *at++ = digits[c & 15];
        } else {
            *at++ = (char)c;
        }
    }
    if (encoded)
        *at = '\0';
    return encoded;
}

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

bool ps_percent_decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int high = digit(from[1]);
        int low = high < 0 ? -1 : digit(from[2]);
        if (low < 0 || high + low == 0)
            return false;
        *to++ = (char)(high << 4 | low);
        from += 2;
    }
    *to = '\0';
    return true;
}
