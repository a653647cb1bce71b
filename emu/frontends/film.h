// SPDX-License-Identifier: MIT
// viv replay FILE --display sdl: the recording as a film.
#ifndef VIV_FRONTENDS_FILM_H
#define VIV_FRONTENDS_FILM_H

#include "frontends/options.h"
#include "frontends/outcome.h"
#include "frontends/session.h"

// Shows it until the window is closed; returns the process's status. The session's machine stands
// at its start.
int film_main(struct session *s, const struct run_options *o, struct outcome_watch *w);

#endif
