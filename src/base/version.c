#include "pickstream.h"
#include "version.h" /* written by the Makefile */

const char *ps_version(void)
{
    return PS_VERSION;
}
