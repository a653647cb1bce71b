// SPDX-License-Identifier: MIT
// What a person does in a window: any thread posts it, the door's thread hands it on at slice ends
// and while the guest sleeps.
#ifndef VIV_HOST_POSIX_INPUT_H
#define VIV_HOST_POSIX_INPUT_H

#include "host/host.h"

struct posix_input;

struct status posix_input_create(struct posix_input **out);
void posix_input_destroy(struct posix_input *input);
struct host_input posix_input_host(struct posix_input *input);

// From any thread. A mouse event that only moves is added to one that still waits; when too many
// wait, an event is dropped (a release never is).
void posix_input_post(struct posix_input *input, const struct host_input_event *event);
// Lets the machine's thread look up from its sleep, as an event does.
void posix_input_wake(struct posix_input *input);

// The machine's thread. Readable when something was posted.
int posix_input_fd(const struct posix_input *input);
// Tells the devices of what has come; true if there is any.
bool posix_input_pump(struct posix_input *input);
// When the power button was first pressed (posix_monotonic_ns()); 0: not yet.
u64 posix_input_pressed_at(struct posix_input *input);

#endif
