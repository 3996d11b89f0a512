/* Splits texts into tokens: into characters, at what matches expressions in turn, or into what matches one. Matches are leftmost and then longest.
 *
 *   tokenize_count(x, program) -> counts               params: the way, the least number of characters in a token
 *   tokenize(x, program, [pad, start, end]) -> tokens   [n, most]; params: the same, whether texts are marked by start and end
 *
 * program (i32): how many automata, then of each: states, width, the first state at a border, behind a word's character and behind another, classes
 * [256], whether a word may end at a border, before a word's character and before another [states, 3], the next state or -1 [states, width].
 * Fails for texts that are no UTF-8. */
#include "runtime/core/utf8.h"
#include "runtime/ops/ops.h"

enum way { CHARACTERS, SEPARATORS, EXPRESSION };

struct text {
  const char *data;
  int64_t bytes;
  int32_t *dead; /* [bytes + 1]: a state that was met at each place and led to no end of a match behind it; -1 without one */
};

struct tokens {
  int64_t *ends; /* [count, 2]: where each begins and ends */
  int64_t count;
};

struct automaton {
  const int32_t *first, *classes, *accepting, *table;
  int32_t width;
};

/* Takes the next automaton from the program. */
static struct automaton read_automaton(const int32_t **program) {
  const int32_t *at = *program;
  int32_t states = at[0], width = at[1];
  struct automaton automaton = {at + 2, at + 5, at + 5 + 256, at + 5 + 256 + 3 * states, width};
  *program = automaton.table + (int64_t)states * width;
  return automaton;
}

static void forget(const struct text *text) {
  for (int64_t k = 0; k <= text->bytes; ++k)
    text->dead[k] = -1;
}

static int is_continued(char byte) { return (byte & 0xc0) == 0x80; }

/* What stands at a place: 0 the border of the text, 1 a character of words, 2 another. */
static int find_side(const struct text *text, int64_t at) {
  if (at < 0 || at == text->bytes)
    return 0;
  char c = text->data[at];
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ? 1 : 2;
}

/* The end of the longest match that begins at a place, -1 without one. What was looked at in vain is not looked at again, so that a text without a match
 * costs its length alone. */
static int64_t match_at(const struct automaton *a, const struct text *text, int64_t at) {
  int64_t longest = -1, marked = at;
  for (int32_t state = a->first[find_side(text, at - 1)]; state >= 0 && text->dead[at] != state; ++at) {
    text->dead[at] = state;
    if (a->accepting[3 * state + find_side(text, at)])
      for (longest = at; marked <= at; ++marked)
        text->dead[marked] = -1;
    if (at == text->bytes)
      break;
    state = a->table[(int64_t)state * a->width + a->classes[(unsigned char)text->data[at]]];
  }
  return longest;
}

/* The first match from a place on: where it begins, and its end in *end; -1 without one. */
static int64_t find_match(const struct automaton *a, const struct text *text, int64_t at, int64_t *end) {
  for (; at <= text->bytes; ++at)
    if ((at == text->bytes || !is_continued(text->data[at])) && (*end = match_at(a, text, at)) >= 0)
      return at;
  return -1;
}

/* Where the search goes on behind a match: an empty one takes the next character along. */
static int64_t move_on(const struct text *text, int64_t start, int64_t end) {
  if (end > start)
    return end;
  do
    ++end;
  while (end < text->bytes && is_continued(text->data[end]));
  return end;
}

static void add_token(struct tokens *tokens, const struct text *text, int64_t start, int64_t end, int64_t least) {
  int64_t characters = 0;
  for (int64_t k = start; k < end; ++k)
    characters += !is_continued(text->data[k]);
  if (characters < least)
    return;
  tokens->ends[2 * tokens->count] = start, tokens->ends[2 * tokens->count + 1] = end;
  ++tokens->count;
}

static void split_characters(const struct text *text, struct tokens *tokens) {
  for (int64_t at = 0, end; at < text->bytes; at = end) {
    end = move_on(text, at, at);
    add_token(tokens, text, at, end, 1);
  }
}

static void collect_matches(const struct automaton *a, const struct text *text, struct tokens *tokens, int64_t least) {
  forget(text);
  for (int64_t at = 0, end, start; at <= text->bytes && (start = find_match(a, text, at, &end)) >= 0; at = move_on(text, start, end))
    add_token(tokens, text, start, end, least);
}

/* Appends what lies between the matches in a part of a text, which counts as a text of its own. */
static void split_part(const struct automaton *a, const struct text *text, int64_t from, int64_t to, struct tokens *tokens, int64_t least) {
  struct text part = {text->data + from, to - from, text->dead};
  int64_t at = 0, end, start;
  forget(&part);
  for (; at <= part.bytes && (start = find_match(a, &part, at, &end)) >= 0; at = move_on(&part, start, end))
    add_token(tokens, text, from + at, from + start, least);
  if (at < part.bytes)
    add_token(tokens, text, from + at, to, least);
}

/* Splits the whole text by the first expression, each part by the next, and so on; `scratch` is as large as the tokens. */
static void split_text(const int32_t *program, const struct text *text, struct tokens *tokens, int64_t *scratch, int64_t least) {
  tokens->ends[0] = 0, tokens->ends[1] = text->bytes, tokens->count = 1;
  for (int32_t left = *program++; left > 0; --left) {
    struct automaton automaton = read_automaton(&program);
    struct tokens parts = {scratch, 0};
    for (int64_t k = 0; k < tokens->count; ++k)
      split_part(&automaton, text, tokens->ends[2 * k], tokens->ends[2 * k + 1], &parts, least);
    scratch = tokens->ends;
    *tokens = parts;
  }
}

static int is_readable(const struct text *text) {
  for (const char *at = text->data, *end = at + text->bytes; at != end;)
    if (onager_read_character(&at, end) < 0)
      return 0;
  return 1;
}

/* Finds the tokens of a text; the caller releases `memory`. 0 without memory or where it is no text. */
static int find_tokens(onager_run *run, int64_t number, const int32_t *program, const int64_t *params, struct tokens *tokens, int64_t **memory) {
  struct text text;
  text.data = run->host->text(run, number, &text.bytes);
  if (!text.data || !is_readable(&text) || !(*memory = run->host->allocate(run, (size_t)(text.bytes + 1) * 5 * sizeof(int64_t))))
    return 0;
  tokens->ends = *memory, tokens->count = 0;
  text.dead = (int32_t *)(*memory + 4 * (text.bytes + 1));
  if (params[0] == CHARACTERS)
    split_characters(&text, tokens);
  else if (params[0] == SEPARATORS)
    split_text(program, &text, tokens, *memory + 2 * (text.bytes + 1), params[1]);
  else {
    ++program;
    struct automaton automaton = read_automaton(&program);
    collect_matches(&automaton, &text, tokens, params[1]);
  }
  return 1;
}

ONAGER_KERNEL(tokenize_count) {
  (void)ins, (void)outs, (void)symbols;
  const int64_t *x = in[0].data;
  int64_t *counts = out[0].data;
  for (int64_t k = 0, n = product(in[0].dims, 0, in[0].rank); k < n; ++k) {
    struct tokens tokens;
    int64_t *memory;
    if (!find_tokens(run, x[k], in[1].data, params, &tokens, &memory))
      return 1;
    counts[k] = tokens.count;
    run->host->release(run, memory);
  }
  return 0;
}

/* Writes a row: the start, tokens, the end, padding. 1 without memory. */
static int32_t write_row(onager_run *run, int64_t number, const struct tokens *tokens, int is_marked, const int64_t *texts, int64_t *row, int64_t room) {
  int64_t at = 0;
  if (is_marked && room)
    row[at++] = texts[1];
  for (int64_t k = 0; k < tokens->count && at < room; ++k) {
    int64_t bytes, start = tokens->ends[2 * k];
    const char *data = run->host->text(run, number, &bytes); /* interning may have moved it */
    if (!data || (row[at++] = run->host->intern(run, data + start, tokens->ends[2 * k + 1] - start)) < 0)
      return 1;
  }
  if (is_marked && at < room)
    row[at++] = texts[2];
  while (at < room)
    row[at++] = texts[0];
  return 0;
}

ONAGER_KERNEL(tokenize) {
  (void)ins, (void)outs, (void)symbols;
  const int64_t *x = in[0].data;
  int64_t room = out[0].dims[1];
  for (int64_t k = 0; k < out[0].dims[0]; ++k) {
    struct tokens tokens;
    int64_t *memory;
    if (!find_tokens(run, x[k], in[1].data, params, &tokens, &memory))
      return 1;
    int32_t status = write_row(run, x[k], &tokens, params[2] != 0, in[2].data, (int64_t *)out[0].data + k * room, room);
    run->host->release(run, memory);
    if (status)
      return 1;
  }
  return 0;
}
