/* beam_search(scores [r, v] f32, sequences [r, m] i32, length [] i64, hypotheses [r, m] i32, their scores [r] f32, their lengths [r] i32, done [b] i32,
 *   penalties [m + 1] f32; end, padding, whether it stops early)
 *   -> sequences, beams' scores [r] f32, tokens [r, 1] i32, rows that they continue [r] i64, hypotheses, scores, lengths, done, whether one goes on [] bool
 *
 * One step of a search with k = r / b beams for each of b texts. Of the 2 k best continuations of a text's beams the first k that do not end become its
 * next beams; those that end among the first k become hypotheses, of which the k best are kept, in order. A hypothesis has length 0 where there is none.
 *
 * beam_search_end(sequences, length, beams' scores, hypotheses, scores, lengths, done, penalties; padding)
 *   -> texts [b, n, m] i32, scores [b, n] f32, hypotheses, scores, lengths
 *
 * The best n hypotheses of each text; beams of texts that are not done are among them. */
#include "runtime/ops/ops.h"

/* The hypotheses of one text. */
struct kept {
  int32_t *tokens, *lengths;
  float *scores;
  int64_t beams, most;
};

static void keep(struct kept kept, const int32_t *tokens, int64_t length, float sum, const float *penalties) {
  float score = sum / penalties[length];
  int64_t place = 0;
  while (place < kept.beams && kept.lengths[place] && !(score > kept.scores[place]))
    ++place;
  if (place == kept.beams)
    return;
  for (int64_t k = kept.beams - 1; k > place; --k) {
    kept.scores[k] = kept.scores[k - 1];
    kept.lengths[k] = kept.lengths[k - 1];
    for (int64_t t = 0; t < kept.lengths[k]; ++t)
      kept.tokens[k * kept.most + t] = kept.tokens[(k - 1) * kept.most + t];
  }
  kept.scores[place] = score;
  kept.lengths[place] = (int32_t)length;
  for (int64_t t = 0; t < length; ++t)
    kept.tokens[place * kept.most + t] = tokens[t];
}

/* The `count` best of `extent` scores in order; of equal ones the first come first. */
static void pick(const float *scores, int64_t extent, int64_t count, float *best, int64_t *places) {
  int64_t used = 0;
  for (int64_t k = 0; k < extent; ++k) {
    if (used == count && !(scores[k] > best[count - 1]))
      continue;
    int64_t at = used < count ? used++ : count - 1;
    for (; at > 0 && scores[k] > best[at - 1]; --at) {
      best[at] = best[at - 1];
      places[at] = places[at - 1];
    }
    best[at] = scores[k];
    places[at] = k;
  }
}

/* What a text's step reads and writes; all begins at the text's first beam. */
struct step {
  const int32_t *sequences;
  float *scores;
  int32_t *tokens;
  int64_t *rows, first, words, length;
  int32_t end, padding;
};

static void pad_beams(struct step step, int64_t beams) {
  for (int64_t k = 0; k < beams; ++k) {
    step.scores[k] = 0;
    step.tokens[k] = step.padding;
    step.rows[k] = step.first;
  }
}

static void choose_beams(struct step step, struct kept kept, const float *best, const int64_t *places, const float *penalties) {
  int64_t next = 0;
  for (int64_t k = 0; k < 2 * kept.beams && next < kept.beams; ++k) {
    int64_t beam = places[k] / step.words;
    int32_t token = (int32_t)(places[k] % step.words);
    if (token != step.end) {
      step.scores[next] = best[k];
      step.tokens[next] = token;
      step.rows[next++] = step.first + beam;
    } else if (k < kept.beams) {
      keep(kept, step.sequences + beam * kept.most, step.length, best[k], penalties);
    }
  }
}

/* True where no beam can still become better than the worst hypothesis. As ONNX Runtime does, `best` is looked for in the scores from the text's first beam
 * on, of which there are two for each beam. */
static int is_finished(struct kept kept, const float *best, int64_t length, int early, const float *penalties) {
  if (!kept.lengths[kept.beams - 1] || early)
    return early && kept.lengths[kept.beams - 1];
  float most = best[0];
  for (int64_t k = 1; k < 2 * kept.beams; ++k)
    most = best[k] > most ? best[k] : most;
  return !(kept.scores[kept.beams - 1] < most / penalties[length]);
}

static void append_tokens(const onager_view *in, const onager_view *out, int64_t length) {
  const int32_t *before = in[1].data, *tokens = out[2].data;
  const int64_t *rows = out[3].data;
  int32_t *after = out[0].data;
  int64_t most = in[1].dims[1];
  for (int64_t row = 0; row < in[1].dims[0]; ++row) {
    for (int64_t t = 0; t < most; ++t)
      after[row * most + t] = before[rows[row] * most + t];
    after[row * most + length] = tokens[row];
  }
}

static void copy_words(const onager_view *from, const onager_view *to) {
  int64_t count = product(from->dims, 0, from->rank);
  for (int64_t k = 0; k < count; ++k)
    ((uint32_t *)to->data)[k] = ((const uint32_t *)from->data)[k];
}

ONAGER_KERNEL(beam_search) {
  (void)ins, (void)outs, (void)symbols;
  int64_t words = in[0].dims[1], most = in[1].dims[1], texts = in[6].dims[0], length = *(const int64_t *)in[2].data;
  int64_t beams = texts ? in[0].dims[0] / texts : 0, twice = 2 * beams;
  if (length < 1 || length >= most || (texts && beams * words < twice))
    return 1;
  int64_t *places = run->host->allocate(run, (size_t)(texts * twice + 1) * (sizeof(float) + sizeof(int64_t)));
  if (!places)
    return 1;
  float *best = (float *)(places + texts * twice);
  for (int32_t k = 0; k < 4; ++k)
    copy_words(in + 3 + k, out + 4 + k);
  for (int64_t text = 0; text < texts; ++text)
    pick((const float *)in[0].data + text * beams * words, beams * words, twice, best + text * twice, places + text * twice);
  int32_t *done = out[7].data;
  int goes_on = 0;
  for (int64_t text = 0; text < texts; ++text) {
    int64_t first = text * beams;
    struct kept kept = {(int32_t *)out[4].data + first * most, (int32_t *)out[6].data + first, (float *)out[5].data + first, beams, most};
    struct step step = {(const int32_t *)in[1].data + first * most, (float *)out[1].data + first, (int32_t *)out[2].data + first, (int64_t *)out[3].data + first,
                        first, words, length, (int32_t)params[0], (int32_t)params[1]};
    if (done[text]) {
      pad_beams(step, beams);
      continue;
    }
    choose_beams(step, kept, best + text * twice, places + text * twice, in[7].data);
    done[text] = is_finished(kept, best + first, length, params[2] != 0, in[7].data);
    goes_on |= !done[text];
  }
  append_tokens(in, out, length);
  *(uint8_t *)out[8].data = (uint8_t)goes_on;
  run->host->release(run, places);
  return 0;
}

ONAGER_KERNEL(beam_search_end) {
  (void)run, (void)ins, (void)outs, (void)symbols;
  int64_t most = in[0].dims[1], texts = in[6].dims[0], length = *(const int64_t *)in[1].data, wanted = out[0].dims[1];
  int64_t beams = texts ? in[0].dims[0] / texts : 0;
  int32_t *tokens = out[0].data;
  if (length < 1 || length > most || (texts && wanted > beams))
    return 1;
  for (int32_t k = 0; k < 3; ++k)
    copy_words(in + 3 + k, out + 2 + k);
  for (int64_t text = 0; text < texts; ++text) {
    int64_t first = text * beams;
    struct kept kept = {(int32_t *)out[2].data + first * most, (int32_t *)out[4].data + first, (float *)out[3].data + first, beams, most};
    for (int64_t k = 0; k < beams && !((const int32_t *)in[6].data)[text]; ++k)
      keep(kept, (const int32_t *)in[0].data + (first + k) * most, length, ((const float *)in[2].data)[first + k], in[7].data);
    for (int64_t k = 0; k < wanted; ++k) {
      ((float *)out[1].data)[text * wanted + k] = kept.scores[k];
      for (int64_t t = 0; t < most; ++t)
        tokens[(text * wanted + k) * most + t] = t < kept.lengths[k] ? kept.tokens[k * most + t] : (int32_t)params[0];
    }
  }
  return 0;
}
