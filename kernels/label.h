/* Connected regions of a mask on the GPU: a forest in which a pixel's label is its own node or that
 * of a pixel of the same region that comes earlier in the scan.
 *
 * Pixel i is node i + 1; node 0 is the outside, to which border pixels can be joined. Pixels that
 * are not part of a region have label -1. Joining puts the later root under the earlier one by an
 * atomic minimum. In the end a region's root is its first pixel, in whatever order the threads run.
 */
#ifndef PS_KERNELS_LABEL_H
#define PS_KERNELS_LABEL_H

#include "reduce.h"

/* Other threads can change labels meanwhile; an old label still belongs to the same region. */
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
        /* `later` was no longer a root; its old parent belongs to the region too. */
        a = earlier;
        b = before;
    }
}

#endif
