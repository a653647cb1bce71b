// SPDX-License-Identifier: MIT
// "viv run --cpu-engine lockstep": the interpreter's machine runs, the translator's follows it.
#ifndef VIV_FRONTENDS_LOCKSTEP_H
#define VIV_FRONTENDS_LOCKSTEP_H

#include "frontends/outcome.h"

#define OUTCOME_ENGINES_DIFFER 123

// Runs s, which has a log and the interpreter, beside another session of the same options with the
// translator. Returns the process's status: OUTCOME_ENGINES_DIFFER with a report on stderr, or the
// guest's own.
int lockstep_main(struct session *s, const struct run_options *o, struct outcome_watch *w);

#endif
