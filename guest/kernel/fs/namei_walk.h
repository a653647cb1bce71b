// SPDX-License-Identifier: MIT
// State of a path walk, shared by lookup (namei.c) and opening (namei_open.c).
#pragma once

#include "fs/internal.h"

#define MAX_LINKS 40 // in one walk
#define NEAR_LINKS 4

enum last_type { LAST_NORM, LAST_ROOT, LAST_DOT, LAST_DOTDOT };

struct saved_link {
    const char *rest; // what follows the link in the text it stood in
    void *cookie;
    void (*put)(void *cookie);
    struct dentry *dentry; // keeps the text alive
};
struct nameidata {
    struct path path, root;
    struct qstr last;
    enum last_type last_type;
    unsigned flags;
    int links, depth;
    struct saved_link *stack, near[NEAR_LINKS];
};

#define STEP_LAST 1u  // the last component: links only with LOOKUP_FOLLOW
#define STEP_SLASH 2u // ... or with a slash behind it

// 0 or -errno; walk_end is due in either case. Name's text must live until then.
int walk_start(int dfd, const char *name, struct nameidata *nd, unsigned flags);
void walk_end(struct nameidata *nd);
// Walks all but the last component of `name`, which ends up in nd->last. 0 or -errno.
int link_path_walk(const char *name, struct nameidata *nd);
// Moves to the component nd->last, or to its child `d` (referenced, consumed). 0, 1 = a link: *text
// is what to walk now (NULL: already there), or -errno.
int walk_component(struct nameidata *nd, unsigned how, const char *rest, const char **text);
int step_into(struct nameidata *nd, struct dentry *d, unsigned how, const char *rest,
              const char **text);
struct dentry *lookup_cached(const struct qstr *name, struct dentry *parent);
// The whole path, the last component too, as flags say. On success nd->path is it.
int path_lookup(int dfd, const char *name, unsigned flags, struct nameidata *nd);
