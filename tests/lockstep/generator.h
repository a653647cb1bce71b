// SPDX-License-Identifier: MIT
// Random programs: loops, calls, faults, code that changes itself, everything that compilers emit
// and much that they do not.
#ifndef VIV_TESTS_LOCKSTEP_GENERATOR_H
#define VIV_TESTS_LOCKSTEP_GENERATOR_H

#include "tests/lockstep/world.h"

void program_generate(struct program *p, u64 seed);

#endif
