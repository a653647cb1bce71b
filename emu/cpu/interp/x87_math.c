// SPDX-License-Identifier: MIT
// x87's transcendental functions. Vendors' results differ in the last bits, so these are ours: long
// double arithmetic in round-to-nearest, which every x86 host does alike. Errors stay within 2
// units in the last place.
#include "cpu/interp/x87.h"

#include <string.h>

typedef long double real;

static real to_real(const struct x87_value *v)
{
    real r = 0;
    memcpy(&r, v->bytes, 10);
    return r;
}

static void from_real(real r, struct x87_value *v)
{
    memset(v, 0, sizeof(*v));
    memcpy(v->bytes, &r, 10);
}

static bool is_nan(real r)
{
    return r != r;
}

static bool is_infinite(real r)
{
    return r - r != 0 && r == r;
}

static bool is_signalling(const struct x87_value *v)
{
    return is_nan(to_real(v)) && !(v->bytes[7] & 0x40);
}

// A NaN operand is the result, made quiet.
static u16 take_nan(const struct x87_value *a, const struct x87_value *b, struct x87_value *r)
{
    u16 raised = is_signalling(a) || (b && is_signalling(b)) ? X87_IE : 0;
    *r = is_nan(to_real(a)) || !b ? *a : *b;
    r->bytes[7] |= 0x40;
    return raised;
}

static u16 invalid(struct x87_value *r)
{
    x87_constant(X87_INDEFINITE, 0x37F, r);
    return X87_IE;
}

static const real ln2 = 0.693147180559945309417232121458176568L;

// e^t - 1 for |t| <= ln 2, by its series.
static real expm1_series(real t)
{
    real sum = 0;
    for (int n = 26; n >= 1; n--) {
        sum = (sum + 1) * t / n;
    }
    return sum;
}

u16 x87_f2xm1(const struct x87_value *a, struct x87_value *r)
{
    real x = to_real(a);
    if (is_nan(x)) {
        return take_nan(a, NULL, r);
    }
    if (x == 0 || x > 1 || x < -1) {
        *r = *a; // outside of [-1, 1] the result is undefined (SDM 2 F2XM1)
        return 0;
    }
    from_real(expm1_series(x * ln2), r);
    return X87_PE;
}

// log2(1 + f) for f in [sqrt(1/2) - 1, sqrt(2) - 1]: 2 atanh(f / (2 + f)) / ln 2.
static real log2_1p(real f)
{
    static const real two_over_ln2 = 2.885390081777926814719849362003784069L;
    real s = f / (2 + f), square = s * s, sum = 0;
    for (int n = 43; n >= 3; n -= 2) {
        sum = (sum + 1.0L / n) * square;
    }
    return s * (sum + 1) * two_over_ln2;
}

// x positive and finite: exponent and significand in [sqrt(1/2), sqrt(2)).
static real log2_of(real x)
{
    int exponent = 0;
    real m = __builtin_frexpl(x, &exponent);
    if (m < 0.70710678118654752440L) {
        m *= 2;
        exponent--;
    }
    return exponent + log2_1p(m - 1);
}

u16 x87_fyl2x(const struct x87_value *xv, const struct x87_value *yv, bool plus_one,
              struct x87_value *r)
{
    real x = to_real(xv), y = to_real(yv);
    if (is_nan(x) || is_nan(y)) {
        return take_nan(xv, yv, r);
    }
    if (plus_one) {
        from_real(x == 0 ? x * y : y * (x > -0.2929L && x < 0.4143L ? log2_1p(x) : log2_of(1 + x)),
                  r);
        return x == 0 ? 0 : X87_PE;
    }
    if (x < 0 || (x == 0 && y == 0) || (x == 1 && is_infinite(y)) || (is_infinite(x) && y == 0)) {
        return invalid(r);
    }
    if (x == 0 || is_infinite(x)) {
        real limit = x == 0 ? -__builtin_infl() : __builtin_infl();
        from_real(y < 0 ? -limit : limit, r);
        return x == 0 && !is_infinite(y) ? X87_ZE : 0;
    }
    from_real(y * log2_of(x), r);
    return x == 1 ? 0 : X87_PE;
}

// atan of t in [0, 1]: reduced twice by atan t = 2 atan(t / (1 + sqrt(1 + t^2))), then the series.
static real atan_unit(real t)
{
    int doublings = 0;
    for (; t > 0.1L; doublings++) {
        t = t / (1 + __builtin_sqrtl(1 + t * t));
    }
    real square = t * t, sum = 0;
    for (int n = 41; n >= 3; n -= 2) {
        sum = (1.0L / n - sum) * square;
    }
    return (t - t * sum) * (1 << doublings);
}

static real signed_like(real magnitude, real sign)
{
    return __builtin_signbit(sign) ? -magnitude : magnitude;
}

// arctan(y / x) in the quadrant of (x, y) (SDM 2 FPATAN, table 3-32).
u16 x87_fpatan(const struct x87_value *xv, const struct x87_value *yv, struct x87_value *r)
{
    static const real pi = 3.141592653589793238462643383279502884L;
    real x = to_real(xv), y = to_real(yv);
    if (is_nan(x) || is_nan(y)) {
        return take_nan(xv, yv, r);
    }
    real ax = x < 0 ? -x : x, ay = y < 0 ? -y : y, angle;
    bool left = __builtin_signbit(x);
    if (is_infinite(x) && is_infinite(y)) {
        angle = pi / 4;
    } else if (ay == 0 || is_infinite(x)) {
        angle = 0;
    } else if (ax == 0 || is_infinite(y)) {
        angle = pi / 2;
    } else {
        angle = ay <= ax ? atan_unit(ay / ax) : pi / 2 - atan_unit(ax / ay);
    }
    from_real(signed_like(left ? pi - angle : angle, y), r);
    return ay == 0 && !left ? 0 : X87_PE;
}

// Sine and cosine of |t| <= pi/4 by their series.
static void sin_cos_series(real t, real *sine, real *cosine)
{
    real square = t * t, s = 0, c = 0;
    for (int n = 12; n >= 1; n--) {
        s = -(s + 1) * square / ((2 * n) * (2 * n + 1));
        c = -(c + 1) * square / ((2 * n - 1) * (2 * n));
    }
    *sine = t + t * s;
    *cosine = 1 + c;
}

u16 x87_sin_cos(const struct x87_value *a, struct x87_value *sine, struct x87_value *cosine)
{
    // Pi/2 in three parts of at most 33 bits, so that quotient times part is exact.
    static const real parts[] = {0x1.921fb544p+0L, 0x1.0b4611a6p-34L, 0x1.3198a2e037073p-69L};
    real x = to_real(a), s, c;
    if (is_nan(x)) {
        u16 raised = take_nan(a, NULL, sine);
        *cosine = *sine;
        return raised;
    }
    if (is_infinite(x)) {
        u16 raised = invalid(sine);
        *cosine = *sine;
        return raised;
    }
    if (x >= 0x1p63L || x <= -0x1p63L) {
        return X87_C2;
    }
    if (x == 0) {
        *sine = *a;
        from_real(1, cosine);
        return 0;
    }
    real quotients = x * 0.636619772367581343075535053490057448L;
    real quotient = (real)(s64)(quotients < 0 ? quotients - 0.5L : quotients + 0.5L); // below 2^63
    real t = ((x - quotient * parts[0]) - quotient * parts[1]) - quotient * parts[2];
    sin_cos_series(t, &s, &c);
    switch ((s64)quotient & 3) {
    case 0:
        from_real(s, sine), from_real(c, cosine);
        break;
    case 1:
        from_real(c, sine), from_real(-s, cosine);
        break;
    case 2:
        from_real(-s, sine), from_real(-c, cosine);
        break;
    default:
        from_real(-c, sine), from_real(s, cosine);
        break;
    }
    return X87_PE;
}
