/* Short vectors and grid sizes, with CUDA's sizes and alignments. */
#ifndef EMU_VECTOR_TYPES_H
#define EMU_VECTOR_TYPES_H

struct float2 {
    float x, y;
} __attribute__((aligned(8)));
typedef struct float2 float2;

struct float4 {
    float x, y, z, w;
} __attribute__((aligned(16)));
typedef struct float4 float4;

struct double2 {
    double x, y;
} __attribute__((aligned(16)));
typedef struct double2 double2;

struct uint3 {
    unsigned x, y, z;
};
typedef struct uint3 uint3;

struct dim3 {
    unsigned x, y, z;
#ifdef __cplusplus
    constexpr dim3(unsigned nx = 1, unsigned ny = 1, unsigned nz = 1) : x(nx), y(ny), z(nz)
    {
    }
    constexpr operator uint3() const
    {
        return uint3{x, y, z};
    }
#endif
};
typedef struct dim3 dim3;

#endif
