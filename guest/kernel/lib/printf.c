// SPDX-License-Identifier: MIT
// Formatted output: integers, strings, characters, pointers.
#include "lib/printf.h"

#include "lib/string.h"
#include "mm/slab.h"

struct out {
    char *buf;
    size_t size, n; // n counts also what did not fit
};

struct spec {
    bool left, plus, space, alt, zero, upper;
    int width, precision; // precision -1 = none
    char length;          // 0, 'h', 'H' (hh), 'l', 'z'
};

static void put(struct out *o, char c)
{
    if (o->n < o->size)
        o->buf[o->n] = c;
    o->n++;
}

static void pad(struct out *o, int n, char c)
{
    while (n-- > 0)
        put(o, c);
}

static void put_padded(struct out *o, const struct spec *s, const char *text, int len)
{
    if (!s->left)
        pad(o, s->width - len, ' ');
    for (int i = 0; i < len; i++)
        put(o, text[i]);
    if (s->left)
        pad(o, s->width - len, ' ');
}

static void put_number(struct out *o, const struct spec *s, u64 v, unsigned base, char sign)
{
    const char *digits = s->upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char tmp[24], prefix[3];
    int n = 0, np = 0;
    if (sign)
        prefix[np++] = sign;
    if (s->alt && base == 16 && v) {
        prefix[np++] = '0';
        prefix[np++] = s->upper ? 'X' : 'x';
    }
    if (base == 10) {
        for (; v; v /= 10)
            tmp[n++] = digits[v % 10];
    } else {
        unsigned shift = base == 16 ? 4 : 3;
        for (; v; v >>= shift)
            tmp[n++] = digits[v & (base - 1)];
    }
    if (base == 8 && s->alt && s->precision <= n)
        tmp[n++] = '0';
    if (n == 0 && s->precision != 0)
        tmp[n++] = '0';
    int zeros = s->precision > n ? s->precision - n : 0;
    if (s->zero && !s->left && s->precision < 0 && s->width > n + np)
        zeros = s->width - n - np;
    int len = n + np + zeros;
    if (!s->left)
        pad(o, s->width - len, ' ');
    for (int i = 0; i < np; i++)
        put(o, prefix[i]);
    pad(o, zeros, '0');
    while (n)
        put(o, tmp[--n]);
    if (s->left)
        pad(o, s->width - len, ' ');
}

static u64 next_unsigned(const struct spec *s, va_list *ap)
{
    switch (s->length) {
    case 'l':
    case 'z':
        return va_arg(*ap, u64);
    case 'h':
        return (u16)va_arg(*ap, unsigned);
    case 'H':
        return (u8)va_arg(*ap, unsigned);
    default:
        return va_arg(*ap, unsigned);
    }
}

static s64 next_signed(const struct spec *s, va_list *ap)
{
    switch (s->length) {
    case 'l':
    case 'z':
        return va_arg(*ap, s64);
    case 'h':
        return (s16)va_arg(*ap, int);
    case 'H':
        return (s8)va_arg(*ap, int);
    default:
        return va_arg(*ap, int);
    }
}

static const char *parse_spec(const char *f, struct spec *s, va_list *ap)
{
    *s = (struct spec){.precision = -1};
    for (;; f++) {
        if (*f == '-')
            s->left = true;
        else if (*f == '+')
            s->plus = true;
        else if (*f == ' ')
            s->space = true;
        else if (*f == '#')
            s->alt = true;
        else if (*f == '0')
            s->zero = true;
        else
            break;
    }
    if (*f == '*') {
        f++;
        s->width = va_arg(*ap, int);
        if (s->width < 0) {
            s->left = true;
            s->width = -s->width;
        }
    }
    while (*f >= '0' && *f <= '9')
        s->width = s->width * 10 + (*f++ - '0');
    if (*f == '.') {
        s->precision = 0;
        if (*++f == '*') {
            f++;
            s->precision = va_arg(*ap, int);
        }
        while (*f >= '0' && *f <= '9')
            s->precision = s->precision * 10 + (*f++ - '0');
    }
    for (; *f == 'h' || *f == 'l' || *f == 'z'; f++)
        s->length = *f == 'h' && s->length == 'h' ? 'H' : *f;
    return f;
}

static void format_one(struct out *o, struct spec *s, char conversion, va_list *ap)
{
    switch (conversion) {
    case 'd':
    case 'i': {
        s64 v = next_signed(s, ap);
        put_number(o, s, v < 0 ? 0 - (u64)v : (u64)v, 10,
                   v < 0      ? '-'
                   : s->plus  ? '+'
                   : s->space ? ' '
                              : 0);
        break;
    }
    case 'u':
        put_number(o, s, next_unsigned(s, ap), 10, 0);
        break;
    case 'o':
        put_number(o, s, next_unsigned(s, ap), 8, 0);
        break;
    case 'X':
        s->upper = true;
        fallthrough;
    case 'x':
        put_number(o, s, next_unsigned(s, ap), 16, 0);
        break;
    case 'p':
        s->alt = true;
        put_number(o, s, (u64)va_arg(*ap, void *), 16, 0);
        break;
    case 'c': {
        char c = (char)va_arg(*ap, int);
        put_padded(o, s, &c, 1);
        break;
    }
    case 's': {
        const char *text = va_arg(*ap, const char *);
        if (!text)
            text = "(null)";
        put_padded(o, s, text,
                   (int)(s->precision >= 0 ? strnlen(text, (size_t)s->precision) : strlen(text)));
        break;
    }
    default:
        put(o, '%');
        if (conversion != '%')
            put(o, conversion);
    }
}

#ifdef __FERN__
#define PRINTF_NAME(x) x
#else
#define PRINTF_NAME(x) k##x // host tests: next to the C library's
int kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int ksnprintf(char *buf, size_t size, const char *fmt, ...);
#endif

int PRINTF_NAME(vsnprintf)(char *buf, size_t size, const char *fmt, va_list ap)
{
    struct out o = {buf, size, 0};
    va_list args;
    va_copy(args, ap);
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            put(&o, *fmt);
            continue;
        }
        struct spec s;
        fmt = parse_spec(fmt + 1, &s, &args);
        if (!*fmt)
            break;
        format_one(&o, &s, *fmt, &args);
    }
    va_end(args);
    if (size)
        buf[o.n < size ? o.n : size - 1] = 0;
    return (int)o.n;
}

int PRINTF_NAME(snprintf)(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = PRINTF_NAME(vsnprintf)(buf, size, fmt, ap);
    va_end(ap);
    return n;
}

int scnprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = PRINTF_NAME(vsnprintf)(buf, size, fmt, ap);
    va_end(ap);
    if (!size)
        return 0;
    return (size_t)n < size ? n : (int)size - 1;
}

char *kasprintf(gfp_t gfp, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = PRINTF_NAME(vsnprintf)(NULL, 0, fmt, ap);
    va_end(ap);
    char *text = kmalloc((size_t)n + 1, gfp);
    if (text) {
        va_start(ap, fmt);
        PRINTF_NAME(vsnprintf)(text, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    return text;
}
