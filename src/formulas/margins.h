/* Borders that hold no image, px from each edge of a micrograph or of its field; top is small y. */
#ifndef PS_FORMULAS_MARGINS_H
#define PS_FORMULAS_MARGINS_H

struct ps_margins {
    int left;
    int right;
    int top;
    int bottom;
};

#endif
