/* Percent-encoding (RFC 3986, section 2.1) of file names, which can be any bytes.
 *
 * '%', control characters, and, in text that is not UTF-8, bytes above ASCII become %XX. The result
 * is printable UTF-8, and different texts have different results.
 */
#ifndef PS_BASE_PERCENT_H
#define PS_BASE_PERCENT_H

#include <stdbool.h>

/* To be freed; NULL without memory. */
char *ps_percent_encode(const char *text);

/* Decodes in place. False, with undefined content, if a '%' is not followed by two hexadecimal
 * digits, or they mean NUL. */
bool ps_percent_decode(char *text);

#endif
