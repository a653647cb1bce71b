// SPDX-License-Identifier: MIT
// Workloads of floating point: planets in double precision (scalar SSE2), matrices in single
// precision (packed SSE).
#include <math.h>
#include <string.h>

#include "workloads.h"

enum { BODIES = 5, MOMENTS = 5000, SIDE = 128 };

struct body {
    double place[3], speed[3], mass;
};

// A made-up system: a heavy one in the middle, four around it. The speeds are about those of
// circles.
static void make_bodies(struct body *bodies)
{
    memset(bodies, 0, BODIES * sizeof(*bodies));
    bodies[0].mass = 40;
    for (int i = 1; i < BODIES; i++) {
        double distance = 3.0 * i * i;
        bodies[i].mass = 0.01 * i;
        bodies[i].place[i % 3] = distance;
        bodies[i].place[(i + 2) % 3] = 0.125 * i;
        bodies[i].speed[(i + 1) % 3] = sqrt(bodies[0].mass / distance);
    }
}

static void advance(struct body *bodies, double dt)
{
    for (int i = 0; i < BODIES; i++) {
        for (int j = i + 1; j < BODIES; j++) {
            double between[3], square = 0;
            for (int k = 0; k < 3; k++) {
                between[k] = bodies[i].place[k] - bodies[j].place[k];
                square += between[k] * between[k];
            }
            double pull = dt / (square * sqrt(square));
            for (int k = 0; k < 3; k++) {
                bodies[i].speed[k] -= between[k] * bodies[j].mass * pull;
                bodies[j].speed[k] += between[k] * bodies[i].mass * pull;
            }
        }
    }
    for (int i = 0; i < BODIES; i++) {
        for (int k = 0; k < 3; k++) {
            bodies[i].place[k] += dt * bodies[i].speed[k];
        }
    }
}

static uint64_t unit_nbody(void)
{
    struct body bodies[BODIES];
    uint64_t sum = 0;
    make_bodies(bodies);
    for (int i = 0; i < MOMENTS; i++) {
        advance(bodies, 0.001);
    }
    for (int i = 0; i < BODIES; i++) {
        uint64_t bits;
        memcpy(&bits, &bodies[i].place[i % 3], sizeof(bits));
        sum = fold(sum, bits);
    }
    return sum;
}

static float left[SIDE][SIDE], right[SIDE][SIDE], product[SIDE][SIDE];

static void prepare_matmul(void)
{
    uint64_t state = 42;
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) {
            left[i][j] = (float)(next_random(&state) >> 40) / 16777216.0f;
            right[i][j] = (float)(next_random(&state) >> 40) / 16777216.0f;
        }
    }
}

// The inner loop is one that gcc -O2 turns into mulps and addps.
static uint64_t unit_matmul(void)
{
    uint64_t sum = 0;
    memset(product, 0, sizeof(product));
    for (int i = 0; i < SIDE; i++) {
        for (int k = 0; k < SIDE; k++) {
            for (int j = 0; j < SIDE; j++) {
                product[i][j] += left[i][k] * right[k][j];
            }
        }
    }
    for (int i = 0; i < SIDE; i++) {
        uint32_t bits;
        memcpy(&bits, &product[i][(i * 7) % SIDE], sizeof(bits));
        sum = fold(sum, bits);
    }
    return sum;
}

const struct workload float_workloads[] = {
    {"nbody", NULL, unit_nbody},
    {"matmul", prepare_matmul, unit_matmul},
    {NULL, NULL, NULL},
};
