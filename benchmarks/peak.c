/* Measures how many f32 multiply-adds the cores sustain: independent chains of vectors in registers, one set for each thread.
 *
 * Usage: peak THREADS    prints floating-point operations per second (two for each multiply-add), the best of several rounds. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef __AVX512F__
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
/* Enough chains to cover latency (4 cycles) times units (2), few enough for the registers. */
#define CHAINS 10
#define STEPS 4000000L

typedef float vector __attribute__((vector_size(4 * LANES)));

static void *work(void *unused) {
  (void)unused;
  vector chains[CHAINS], factor, term;
  for (int lane = 0; lane < LANES; ++lane) {
    factor[lane] = 0.999f;
    term[lane] = 0.001f;
    for (int chain = 0; chain < CHAINS; ++chain)
      chains[chain][lane] = (float)chain;
  }
  for (long step = 0; step < STEPS; ++step) {
#pragma clang loop unroll(full)
    for (int chain = 0; chain < CHAINS; ++chain) {
      chains[chain] = chains[chain] * factor + term;
      __asm__ volatile("" : "+v"(chains[chain]));
    }
  }
  return NULL;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 1;
  pthread_t workers[64];
  double best = 0;
  if (threads < 1 || threads > 64)
    return fprintf(stderr, "expected 1 to 64 threads\n"), 2;
  for (int round = 0; round < 64; ++round) {
    double start = now();
    for (int k = 0; k < threads; ++k)
      if (pthread_create(&workers[k], NULL, work, NULL))
        return fprintf(stderr, "no thread\n"), 1;
    for (int k = 0; k < threads; ++k)
      pthread_join(workers[k], NULL);
    double rate = 2.0 * LANES * CHAINS * STEPS * threads / (now() - start);
    best = rate > best ? rate : best;
  }
  printf("%.0f\n", best);
  return 0;
}
