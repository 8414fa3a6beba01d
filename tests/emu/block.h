/* Runs the threads of a grid, block after block, on the calling OS thread. */
#ifndef EMU_BLOCK_H
#define EMU_BLOCK_H

#include "emu_kernel.h"

#include <string>

namespace emu
{

/* Runs a kernel to its end. False: it failed; `*report` is one line with kernel, block, thread and
 * reason. */
bool run_grid(const emu_launch &launch, std::string *report);

enum class Order { forward, reverse, random };

/* Order for grids that start from now on. */
void set_order(Order order, unsigned long seed);

} // namespace emu

#endif
