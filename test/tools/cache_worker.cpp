// A process that uses a folder of variants, for tests with many of them:
//
//   onager-cache-worker race FOLDER        prints `compiled` or `found` for one entry that takes a while to compile
//   onager-cache-worker store FOLDER SEED  stores entries until it is killed, and prints the preimage of each that is on the disk
//   onager-cache-worker check FOLDER       prints the preimages of all entries that are found; status 1 where one has the code of another
#include "runtime/cache/variantcache.h"
#include <cstdio>
#include <random>
#include <unistd.h>

using namespace onager::rt;

static const std::string kGroup(kGroupDigits, 'a');

/// The code of an entry follows from its preimage.
static std::string makePayload(const std::string &preimage) {
  std::mt19937_64 generator(hashBytes(preimage.data(), preimage.size()));
  std::string payload(generator() % 200000, 0);
  for (char &c : payload)
    c = static_cast<char>(generator());
  return payload;
}

static bool storeEntry(const VariantCache &cache, const std::string &preimage) {
  std::string payload = makePayload(preimage);
  Outcome outcome = cache.store(kGroup, preimage, payload.data(), payload.size());
  if (!outcome)
    std::fprintf(stderr, "%s\n", outcome.message.c_str());
  return static_cast<bool>(outcome);
}

static int race(const VariantCache &cache) {
  std::string preimage = "guard=batch==4", payload;
  VariantCache::Lock lock = cache.lock(kGroup, preimage, 60);
  bool isFound = cache.find(kGroup, preimage, payload);
  if (!isFound)
    usleep(200000); // compiling
  if (!lock || (!isFound && !storeEntry(cache, preimage)) || (isFound && payload != makePayload(preimage)))
    return 1;
  std::puts(isFound ? "found" : "compiled");
  return 0;
}

static int storeForever(const VariantCache &cache, uint64_t seed) {
  std::mt19937_64 generator(seed);
  for (;;) {
    std::string preimage = "entry=" + std::to_string(generator() % 40);
    VariantCache::Lock lock = cache.lock(kGroup, preimage, 60);
    if (!lock || !storeEntry(cache, preimage))
      return 1;
    std::puts(preimage.c_str());
    std::fflush(stdout);
  }
}

static int check(const VariantCache &cache) {
  bool isRight = true;
  std::string payload;
  for (const Preimage &preimage : cache.listPreimages(kGroup)) {
    if (!cache.find(kGroup, preimage, payload))
      continue;
    isRight &= payload == makePayload(preimage);
    std::puts(preimage.c_str());
  }
  return isRight ? 0 : 1;
}

int main(int argc, char **argv) {
  VariantCache cache;
  std::string action = argc > 2 ? argv[1] : "";
  if (Outcome outcome = cache.open(argc > 2 ? argv[2] : "", VariantCache::kDefaultBytes); !outcome)
    return std::fprintf(stderr, "%s\n", outcome.message.c_str()), 2;
  if (action == "race")
    return race(cache);
  if (action == "store" && argc > 3)
    return storeForever(cache, std::stoull(argv[3]));
  return action == "check" ? check(cache) : 2;
}
