/* Connected regions of a mask on the GPU: a forest in which a label is the place of another pixel
 * of the same region that comes no later in a scan, or the pixel's own.
 *
 * Pixel i is node i + 1; node 0 is the world outside, which pixels of the border may be joined to.
 * Pixels that are not looked at have label -1. Joining hangs the later root under the earlier one
 * by an atomic minimum, so that in the end, whatever the order, a region's root is its first pixel:
 * the result does not depend on how threads run. */
#ifndef PS_KERNELS_LABEL_H
#define PS_KERNELS_LABEL_H

#include "reduce.h"

/* Other threads may be changing labels; an older one is still of the same region. */
__device__ __forceinline__ int label_root(const volatile int *labels, int node)
{
    int parent = labels[node];
    while (parent != node) {
        node = parent;
        parent = labels[node];
    }
    return node;
}

__device__ __forceinline__ void label_join(int *labels, int a, int b)
{
    for (;;) {
        a = label_root(labels, a);
        b = label_root(labels, b);
        if (a == b)
            return;
        int earlier = a < b ? a : b;
        int later = a < b ? b : a;
        int before = atomicMin(&labels[later], earlier);
        if (before == later)
            return;
        /* It was no root any more: what it hung under is of the region, too. */
        a = earlier;
        b = before;
    }
}

#endif
