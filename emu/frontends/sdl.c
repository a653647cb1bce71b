// SPDX-License-Identifier: MIT
// The window's thread: SDL's events, scaling by whole factors, the keys that are the window's own.
#include "frontends/sdl.h"

#include "base/memory.h"
#include "display/png_file.h"
#include "frontends/sdl_keys.h"

#include <SDL.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define WISHES_MAX 16
#define TITLE_MAX 160

struct sdl_window {
    struct sdl_config config;
    pthread_t thread;
    pthread_mutex_t lock; // of what follows
    pthread_cond_t opened;
    bool is_open, failed;
    char why[200];
    struct surface picture; // the newest; from and epoch say nothing
    bool told;              // an event that says so is on its way
    char title[TITLE_MAX];
    bool has_strip; // it is shown
    struct strip strip;
    enum sdl_wish wishes[WISHES_MAX];
    unsigned wish_count;
    // The window's thread only.
    SDL_Window *window;
    SDL_Renderer *renderer;
    SDL_Texture *texture, *strip_texture;
    u32 strip_pixels[STRIP_WIDTH * STRIP_ROWS];
    u32 texture_width, texture_height;
    u32 user_event;
    bool quit, grabbed, full_screen;
    SDL_Rect before; // full screen
    u8 buttons;
    bool held[SDL_NUM_SCANCODES]; // keys that the guest saw going down
};

static void post_key(struct sdl_window *w, unsigned scancode, bool pressed)
{
    struct host_input_event e = {
        .kind = HOST_INPUT_KEY, .key = sdl_key(scancode), .pressed = pressed};
    if (e.key && w->held[scancode] != pressed) {
        w->held[scancode] = pressed;
        posix_input_post(w->config.input, &e);
    }
}

static void release_keys(struct sdl_window *w)
{
    for (unsigned i = 0; i < SDL_NUM_SCANCODES; i++) {
        if (w->held[i]) {
            post_key(w, i, false);
        }
    }
}

static void post_mouse(struct sdl_window *w, int dx, int dy, int dz)
{
    struct host_input_event e = {.kind = HOST_INPUT_MOUSE,
                                 .dx = (s16)dx,
                                 .dy = (s16)dy,
                                 .dz = (s16)dz,
                                 .buttons = w->buttons};
    posix_input_post(w->config.input, &e);
}

static void wish(struct sdl_window *w, enum sdl_wish what)
{
    pthread_mutex_lock(&w->lock);
    if (what && w->wish_count < WISHES_MAX) {
        w->wishes[w->wish_count++] = what;
    }
    pthread_mutex_unlock(&w->lock);
    posix_input_wake(w->config.input);
}

static void grab(struct sdl_window *w, bool on)
{
    w->grabbed = on;
    SDL_SetRelativeMouseMode(on ? SDL_TRUE : SDL_FALSE);
    SDL_SetWindowGrab(w->window, on ? SDL_TRUE : SDL_FALSE);
    if (!on && w->buttons) {
        w->buttons = 0;
        post_mouse(w, 0, 0, 0);
    }
}

// The first free name of viv-0001.png and so on.
static void save_picture(struct sdl_window *w)
{
    char name[32];
    FILE *file = NULL;
    for (unsigned i = 1; i < 10000 && !file; i++) {
        snprintf(name, sizeof(name), "viv-%04u.png", i);
        file = fopen(name, "wbxe");
    }
    pthread_mutex_lock(&w->lock);
    struct status s = file ? png_file_write(file, name, &w->picture, false)
                           : status_error(STATUS_BAD_INPUT, "cannot write %s", name);
    pthread_mutex_unlock(&w->lock);
    if (file) {
        fclose(file);
    }
    SDL_SetWindowTitle(w->window, status_ok(&s) ? name : s.text);
}

static void update_strip(struct sdl_window *w)
{
    if (w->has_strip) {
        strip_paint(&w->strip, w->strip_pixels);
        SDL_UpdateTexture(w->strip_texture, NULL, w->strip_pixels, STRIP_WIDTH * sizeof(u32));
    }
}

static void toggle_strip(struct sdl_window *w)
{
    if (!w->strip_texture) {
        w->strip_texture = SDL_CreateTexture(w->renderer, SDL_PIXELFORMAT_RGB888,
                                             SDL_TEXTUREACCESS_STREAMING, STRIP_WIDTH, STRIP_ROWS);
    }
    pthread_mutex_lock(&w->lock);
    w->has_strip = !w->has_strip;
    if (!w->config.film) { // nobody kept what happened meanwhile
        w->strip = (struct strip){.next = 0};
    }
    update_strip(w);
    pthread_mutex_unlock(&w->lock);
    int width, height, by = w->has_strip ? STRIP_WIDTH : -STRIP_WIDTH;
    SDL_GetWindowSize(w->window, &width, &height);
    if (!w->full_screen && !(SDL_GetWindowFlags(w->window) & SDL_WINDOW_MAXIMIZED)) {
        SDL_SetWindowSize(w->window, width + by, height);
    }
}

// SDL asks the window manager to do it and takes it as done. Where there is none, or it does not
// know of full screens, the window has the size nevertheless.
static void set_full_screen(struct sdl_window *w, bool on)
{
    bool maximized = SDL_GetWindowFlags(w->window) & SDL_WINDOW_MAXIMIZED;
    SDL_Rect all, *before = &w->before;
    if (on && !maximized && SDL_GetDisplayBounds(SDL_GetWindowDisplayIndex(w->window), &all) == 0) {
        SDL_GetWindowPosition(w->window, &before->x, &before->y);
        SDL_GetWindowSize(w->window, &before->w, &before->h);
        SDL_SetWindowPosition(w->window, all.x, all.y);
        SDL_SetWindowSize(w->window, all.w, all.h);
    }
    SDL_SetWindowFullscreen(w->window, on ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
    w->full_screen = on;
    if (!on && before->w) {
        SDL_SetWindowSize(w->window, before->w, before->h);
        SDL_SetWindowPosition(w->window, before->x, before->y);
        before->w = 0;
    }
}

// True: the key is the window's own.
static bool own_key(struct sdl_window *w, const SDL_Keysym *key)
{
    bool both = (key->mod & KMOD_CTRL) && (key->mod & KMOD_ALT);
    if (!both) {
        return false;
    }
    switch (key->scancode) {
    case SDL_SCANCODE_F:
        set_full_screen(w, !w->full_screen);
        return true;
    case SDL_SCANCODE_G:
        grab(w, !w->grabbed);
        return true;
    case SDL_SCANCODE_S:
        save_picture(w);
        return true;
    case SDL_SCANCODE_T:
        toggle_strip(w);
        return true;
    default:
        return false;
    }
}

static void on_key(struct sdl_window *w, const SDL_KeyboardEvent *e)
{
    bool pressed = e->type == SDL_KEYDOWN;
    if (e->repeat || (pressed && own_key(w, &e->keysym))) {
        return;
    }
    if (!w->config.film) {
        post_key(w, e->keysym.scancode, pressed);
    } else if (pressed) {
        wish(w, sdl_film_wish(e->keysym.scancode));
    }
}

static void on_button(struct sdl_window *w, const SDL_MouseButtonEvent *e)
{
    static const u8 bits[] = {[SDL_BUTTON_LEFT] = 1,
                              [SDL_BUTTON_RIGHT] = 2,
                              [SDL_BUTTON_MIDDLE] = 4,
                              [SDL_BUTTON_X1] = 8,
                              [SDL_BUTTON_X2] = 16};
    u8 bit = e->button < sizeof(bits) ? bits[e->button] : 0;
    if (w->config.film) {
        return;
    }
    if (!w->grabbed) {
        if (e->type == SDL_MOUSEBUTTONDOWN) {
            grab(w, true); // and nothing else
        }
        return;
    }
    w->buttons = (u8)(e->type == SDL_MOUSEBUTTONDOWN ? w->buttons | bit : w->buttons & ~bit);
    post_mouse(w, 0, 0, 0);
}

static void on_close(struct sdl_window *w)
{
    struct host_input_event button = {.kind = HOST_INPUT_POWER};
    if (w->config.film) {
        wish(w, SDL_WISH_QUIT);
    } else {
        posix_input_post(w->config.input, &button);
    }
}

// The largest whole multiple that fits, else as much smaller as it must be; in the middle.
static SDL_Rect place(const struct sdl_window *w)
{
    int width = 0, height = 0;
    SDL_GetRendererOutputSize(w->renderer, &width, &height);
    width = w->has_strip && width > STRIP_WIDTH ? width - STRIP_WIDTH : width;
    int pw = (int)w->texture_width, ph = (int)w->texture_height;
    int scale = width / pw < height / ph ? width / pw : height / ph;
    SDL_Rect r = {.w = pw * scale, .h = ph * scale};
    if (!scale) {
        bool wide = (s64)width * ph < (s64)height * pw;
        r.w = wide ? width : (int)((s64)height * pw / ph);
        r.h = wide ? (int)((s64)width * ph / pw) : height;
    }
    r.x = (width - r.w) / 2;
    r.y = (height - r.h) / 2;
    return r;
}

static void fit_window(struct sdl_window *w, u32 width, u32 height)
{
    if (w->texture) {
        SDL_DestroyTexture(w->texture);
    }
    w->texture = SDL_CreateTexture(w->renderer, SDL_PIXELFORMAT_RGB888, SDL_TEXTUREACCESS_STREAMING,
                                   (int)width, (int)height);
    w->texture_width = width;
    w->texture_height = height;
    if (!w->full_screen && !(SDL_GetWindowFlags(w->window) & SDL_WINDOW_MAXIMIZED)) {
        SDL_SetWindowSize(w->window, (int)width + (w->has_strip ? STRIP_WIDTH : 0), (int)height);
    }
}

// Takes the newest picture and title.
static void take_picture(struct sdl_window *w)
{
    char title[TITLE_MAX];
    pthread_mutex_lock(&w->lock);
    const struct surface *p = &w->picture;
    if (p->width &&
        (!w->texture || p->width != w->texture_width || p->height != w->texture_height)) {
        fit_window(w, p->width, p->height);
    }
    if (w->texture && p->width) {
        SDL_UpdateTexture(w->texture, NULL, p->pixels, (int)(p->width * sizeof(u32)));
    }
    update_strip(w);
    w->told = false;
    memcpy(title, w->title, sizeof(title));
    pthread_mutex_unlock(&w->lock);
    if (strcmp(title, SDL_GetWindowTitle(w->window)) != 0) {
        SDL_SetWindowTitle(w->window, title);
    }
}

static void draw(struct sdl_window *w)
{
    SDL_RenderClear(w->renderer);
    if (w->texture) {
        SDL_Rect to = place(w);
        SDL_RenderCopy(w->renderer, w->texture, NULL, &to);
    }
    if (w->has_strip) {
        int width, height;
        SDL_GetRendererOutputSize(w->renderer, &width, &height);
        SDL_Rect right = {width - STRIP_WIDTH, 0, STRIP_WIDTH, height};
        SDL_RenderCopy(w->renderer, w->strip_texture, NULL, &right);
    }
    SDL_RenderPresent(w->renderer);
}

// True: the picture is to be drawn anew.
static bool on_window(struct sdl_window *w, const SDL_WindowEvent *e)
{
    switch (e->event) {
    case SDL_WINDOWEVENT_FOCUS_LOST:
        release_keys(w);
        if (w->grabbed) {
            grab(w, false);
        }
        return false;
    case SDL_WINDOWEVENT_EXPOSED:
    case SDL_WINDOWEVENT_SIZE_CHANGED:
        return true;
    default:
        return false;
    }
}

// True: the picture is to be drawn anew.
static bool on_event(struct sdl_window *w, const SDL_Event *e)
{
    switch (e->type) {
    case SDL_QUIT:
        on_close(w);
        return false;
    case SDL_KEYDOWN:
    case SDL_KEYUP:
        on_key(w, &e->key);
        return false;
    case SDL_MOUSEMOTION:
        if (w->grabbed) {
            post_mouse(w, e->motion.xrel, -e->motion.yrel, 0);
        }
        return false;
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP:
        on_button(w, &e->button);
        return false;
    case SDL_MOUSEWHEEL:
        if (w->grabbed) {
            post_mouse(w, 0, 0, -e->wheel.y);
        }
        return false;
    case SDL_WINDOWEVENT:
        return on_window(w, &e->window);
    default:
        break;
    }
    if (e->type == w->user_event) {
        w->quit = e->user.code != 0;
        take_picture(w);
        return true;
    }
    return false;
}

// SDL would draw to nowhere rather than fail, and ask for servers that nobody named.
static bool choose_driver(void)
{
    const char *x11 = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    if (getenv("SDL_VIDEODRIVER")) {
        return true;
    }
    if ((!x11 || !*x11) && (!wayland || !*wayland)) {
        SDL_SetError("neither DISPLAY nor WAYLAND_DISPLAY is set");
        return false;
    }
    SDL_SetHint(SDL_HINT_VIDEODRIVER, x11 && *x11 ? "x11" : "wayland");
    return true;
}

static bool open_window(struct sdl_window *w)
{
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    // Copying a picture needs no graphics library, whose threads cost more than the copying.
    SDL_SetHint(SDL_HINT_FRAMEBUFFER_ACCELERATION, "0");
    SDL_SetHint(SDL_HINT_RENDER_SCALE_QUALITY, "nearest");
    SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
    if (!choose_driver() || SDL_Init(SDL_INIT_VIDEO) != 0) {
        return false;
    }
    SDL_DisableScreenSaver();
    w->window = SDL_CreateWindow("viv", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED,
                                 (int)w->config.width, (int)w->config.height, SDL_WINDOW_RESIZABLE);
    w->renderer = w->window ? SDL_CreateRenderer(w->window, -1, SDL_RENDERER_SOFTWARE) : NULL;
    w->user_event = SDL_RegisterEvents(1);
    return w->renderer != NULL;
}

static void close_window(struct sdl_window *w)
{
    if (w->texture) {
        SDL_DestroyTexture(w->texture);
    }
    if (w->strip_texture) {
        SDL_DestroyTexture(w->strip_texture);
    }
    if (w->renderer) {
        SDL_DestroyRenderer(w->renderer);
    }
    if (w->window) {
        SDL_DestroyWindow(w->window);
    }
    SDL_Quit();
}

static void *window_main(void *arg)
{
    struct sdl_window *w = arg;
    bool good = open_window(w);
    pthread_mutex_lock(&w->lock);
    w->is_open = good;
    w->failed = !good;
    snprintf(w->why, sizeof(w->why), "%s", good ? "" : SDL_GetError());
    pthread_cond_signal(&w->opened);
    pthread_mutex_unlock(&w->lock);
    while (good && !w->quit) {
        SDL_Event e;
        bool anew = SDL_WaitEvent(&e) && on_event(w, &e);
        while (SDL_PollEvent(&e)) {
            anew = on_event(w, &e) || anew;
        }
        if (anew) {
            draw(w);
        }
    }
    close_window(w);
    return NULL;
}

// The process's signals are the door's.
static int start_thread(struct sdl_window *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&w->thread, NULL, window_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static void free_window(struct sdl_window *w)
{
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->opened);
    surface_free(&w->picture);
    free(w);
}

struct status sdl_open(struct sdl_window **out, const struct sdl_config *config)
{
    struct sdl_window *w = xcalloc(1, sizeof(*w));
    w->config = *config;
    snprintf(w->title, sizeof(w->title), "viv");
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->opened, NULL);
    surface_init(&w->picture);
    int error = start_thread(w);
    pthread_mutex_lock(&w->lock);
    while (!error && !w->is_open && !w->failed) {
        pthread_cond_wait(&w->opened, &w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    if (!error && w->is_open) {
        *out = w;
        return status_success();
    }
    struct status s =
        status_error(STATUS_BAD_INPUT,
                     "--display sdl: no window can be opened (%s); without one use --display none, "
                     "and --screenshot FILE.png to see the screen",
                     error ? strerror(error) : w->why);
    if (!error) {
        pthread_join(w->thread, NULL);
    }
    free_window(w);
    return s;
}

static void tell(struct sdl_window *w, int code)
{
    SDL_Event e = {.user = {.type = w->user_event, .code = code}};
    SDL_PushEvent(&e);
}

void sdl_close(struct sdl_window *w)
{
    if (w) {
        tell(w, 1);
        pthread_join(w->thread, NULL);
        free_window(w);
    }
}

void sdl_show(struct sdl_window *w, const struct surface *s, struct surface_rows rows)
{
    pthread_mutex_lock(&w->lock);
    struct surface *p = &w->picture;
    if (p->width != s->width || p->height != s->height) {
        surface_free(p);
        p->pixels = xcalloc((size_t)s->width * s->height + 1, sizeof(u32));
        p->width = s->width;
        p->height = s->height;
        rows = (struct surface_rows){0, s->height};
    }
    size_t at = (size_t)rows.first * s->width;
    memcpy(p->pixels + at, s->pixels + at, (size_t)rows.count * s->width * sizeof(u32));
    bool telling = !w->told;
    w->told = true;
    pthread_mutex_unlock(&w->lock);
    if (telling) {
        tell(w, 0);
    }
}

void sdl_add_sample(struct sdl_window *w, const struct strip_sample *sample)
{
    bool telling = false;
    pthread_mutex_lock(&w->lock);
    if (w->has_strip) {
        strip_add(&w->strip, sample);
        telling = !w->told;
        w->told = true;
    }
    pthread_mutex_unlock(&w->lock);
    if (telling) {
        tell(w, 0);
    }
}

void sdl_set_strip(struct sdl_window *w, const struct strip *strip)
{
    pthread_mutex_lock(&w->lock);
    w->strip = *strip;
    bool telling = w->has_strip && !w->told;
    w->told = w->told || telling;
    pthread_mutex_unlock(&w->lock);
    if (telling) {
        tell(w, 0);
    }
}

void sdl_set_title(struct sdl_window *w, const char *title)
{
    pthread_mutex_lock(&w->lock);
    snprintf(w->title, sizeof(w->title), "%s", title);
    bool telling = !w->told;
    w->told = true;
    pthread_mutex_unlock(&w->lock);
    if (telling) {
        tell(w, 0);
    }
}

enum sdl_wish sdl_next_wish(struct sdl_window *w)
{
    enum sdl_wish first = SDL_WISH_NONE;
    pthread_mutex_lock(&w->lock);
    if (w->wish_count) {
        first = w->wishes[0];
        w->wish_count--;
        memmove(w->wishes, w->wishes + 1, w->wish_count * sizeof(w->wishes[0]));
    }
    pthread_mutex_unlock(&w->lock);
    return first;
}
