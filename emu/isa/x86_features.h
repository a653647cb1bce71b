// SPDX-License-Identifier: MIT
// Names of what CPUID can advertise: the rows of x86_features.def.
#ifndef VIV_ISA_X86_FEATURES_H
#define VIV_ISA_X86_FEATURES_H

enum cpu_feature {
#define FEATURE(name, ...) FEATURE_##name,
#include "isa/x86_features.def"
#undef FEATURE
    CPU_FEATURE_COUNT
};

// A set of features.
typedef unsigned __int128 cpu_feature_set;
#define CPU_FEATURE_BIT(feature) ((cpu_feature_set)1 << (feature))
_Static_assert(CPU_FEATURE_COUNT <= 128, "a set of features is one number");

#endif
