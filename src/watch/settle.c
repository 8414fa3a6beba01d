#include "watch/settle.h"

#include "image/micrograph.h"

static int64_t quiet_ns(double settle_seconds)
{
    return (int64_t)(settle_seconds * 1e9);
}

static int64_t short_timeout_ns(double settle_seconds)
{
    return PS_SETTLE_SHORT_FACTOR * quiet_ns(settle_seconds);
}

int64_t ps_settle_due(const struct ps_settle *settle, double settle_seconds)
{
    return settle->changed_ns +
           (settle->is_short ? short_timeout_ns(settle_seconds) : quiet_ns(settle_seconds));
}

enum ps_settle_state ps_settle_check(struct ps_settle *settle, const char *path,
                                     const struct ps_identity *identity, bool announced,
                                     int64_t now_ns, double settle_seconds)
{
    if (settle->changed_ns == 0 || !ps_identity_equal(&settle->identity, identity)) {
        settle->changed_ns = now_ns;
        settle->is_short = false;
    }
    settle->identity = *identity; /* the inode can change while the file is quiet */
    const int64_t quiet = now_ns - settle->changed_ns;
    if (!announced && quiet < quiet_ns(settle_seconds))
        return PS_SETTLE_WAITING;
    if (quiet >= short_timeout_ns(settle_seconds))
        return PS_SETTLE_COMPLETE;

    enum ps_extent extent = PS_EXTENT_SHORT;
    if (ps_micrograph_extent(path, &extent, NULL) == PS_E_INPUT)
        return PS_SETTLE_VANISHED;
    if (extent == PS_EXTENT_WHOLE)
        return PS_SETTLE_COMPLETE;
    if (quiet < quiet_ns(settle_seconds))
        return PS_SETTLE_WAITING;
    if (extent == PS_EXTENT_BLANK)
        return PS_SETTLE_COMPLETE;
    settle->is_short = true;
    return PS_SETTLE_WAITING;
}
