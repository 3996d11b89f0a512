// onager cache: what lies in the cache of variants, whether it is whole, and making it smaller.
#include "runtime/cache/variantcache.h"
#include "Choice.h"
#include "Cli.h"
#include "Files.h"
#include "Profile.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"
#include <cerrno>
#include <memory>
#include <sys/stat.h>

namespace json = llvm::json;

namespace onager::cli {

namespace {

struct CacheArguments {
  std::string action, folder;
  int64_t maxBytes = rt::VariantCache::kDefaultBytes;
  bool isJson = false;
};

} // namespace

static std::string formatAge(int64_t seconds) {
  const struct {
    int64_t seconds;
    const char *name;
  } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}};
  for (const auto &unit : units)
    if (seconds >= unit.seconds)
      return std::to_string(seconds / unit.seconds) + " " + unit.name;
  return std::to_string(seconds) + " s";
}

static std::vector<llvm::StringRef> splitLines(const std::string &text) {
  llvm::SmallVector<llvm::StringRef> lines;
  llvm::StringRef(text).split(lines, '\n', -1, /*KeepEmpty=*/false);
  return {lines.begin(), lines.end()};
}

/// What a line of the terminal has room for.
static std::string summarize(const std::string &preimage) {
  std::string text = llvm::join(splitLines(preimage), ", "), shown;
  for (char c : text.substr(0, 100))
    shown += static_cast<unsigned char>(c) < 32 || c == 127 ? '?' : c;
  return json::fixUTF8(shown) + (text.size() > 100 ? "..." : "");
}

static void listEntries(const rt::VariantCache &cache, const CacheArguments &arguments) {
  json::Array list;
  uint64_t bytes = 0;
  std::string group;
  std::vector<rt::VariantCache::Listed> entries = cache.list(false);
  for (const rt::VariantCache::Listed &entry : entries) {
    bytes += entry.bytes;
    json::Array preimage;
    for (llvm::StringRef line : splitLines(entry.preimage))
      preimage.push_back(json::fixUTF8(line));
    list.push_back(json::Object{{"group", entry.group}, {"key", entry.key}, {"path", json::fixUTF8(entry.path)}, {"bytes", static_cast<int64_t>(entry.bytes)},
                                {"age_seconds", entry.age}, {"preimage", std::move(preimage)}, {"fault", entry.fault}});
    if (arguments.isJson)
      continue;
    if (group != entry.group)
      printFormatted("group %s\n", (group = entry.group).c_str());
    printFormatted("  %s  %10llu bytes  %8s  %s\n", entry.key.substr(0, 16).c_str(), static_cast<unsigned long long>(entry.bytes), formatAge(entry.age).c_str(),
                   entry.fault.empty() ? summarize(entry.preimage).c_str() : entry.fault.c_str());
  }
  if (arguments.isJson)
    print(formatJson(json::Object{{"folder", json::fixUTF8(arguments.folder)}, {"entries", std::move(list)}, {"bytes", static_cast<int64_t>(bytes)}}));
  else
    printFormatted("%zu entries, %llu bytes in %s\n", entries.size(), static_cast<unsigned long long>(bytes), arguments.folder.c_str());
}

static void pruneEntries(const rt::VariantCache &cache, const CacheArguments &arguments) {
  rt::VariantCache::Pruned pruned = cache.prune(static_cast<uint64_t>(arguments.maxBytes));
  if (arguments.isJson)
    print(formatJson(json::Object{{"removed", static_cast<int64_t>(pruned.removed)}, {"removed_bytes", static_cast<int64_t>(pruned.removedBytes)},
                                  {"kept", static_cast<int64_t>(pruned.kept)}, {"kept_bytes", static_cast<int64_t>(pruned.keptBytes)}}));
  else
    printFormatted("removed %llu entries, %llu bytes; kept %llu entries, %llu bytes\n", static_cast<unsigned long long>(pruned.removed),
                   static_cast<unsigned long long>(pruned.removedBytes), static_cast<unsigned long long>(pruned.kept), static_cast<unsigned long long>(pruned.keptBytes));
  if (pruned.keptBytes > static_cast<uint64_t>(arguments.maxBytes) || (arguments.maxBytes == 0 && pruned.kept))
    throw Failure(Status::badFile, "cannot remove " + std::to_string(pruned.kept) + " entries of " + arguments.folder);
}

static void verifyEntries(const rt::VariantCache &cache, const CacheArguments &arguments) {
  json::Array damaged;
  std::string message;
  std::vector<rt::VariantCache::Listed> entries = cache.list(true);
  for (const rt::VariantCache::Listed &entry : entries) {
    if (entry.fault.empty())
      continue;
    damaged.push_back(json::Object{{"path", json::fixUTF8(entry.path)}, {"fault", entry.fault}});
    message += entry.path + " " + entry.fault + "\n";
  }
  size_t bad = damaged.size();
  if (arguments.isJson)
    print(formatJson(json::Object{{"entries", static_cast<int64_t>(entries.size())}, {"damaged", std::move(damaged)}}));
  else
    printFormatted("%zu of %zu entries are damaged\n", bad, entries.size());
  flushOutput();
  if (bad)
    throw Failure(Status::difference, message + std::to_string(bad) + " of " + std::to_string(entries.size()) + " entries are damaged");
}

static Status runCache(CacheArguments arguments, bool isLimited) {
  bool isPruning = arguments.action == "prune", isNamed = !arguments.folder.empty();
  if (isLimited && !isPruning)
    throw Failure(Status::badOption, "--max-bytes belongs to prune");
  if (!isNamed)
    arguments.folder = rt::VariantCache::findFolder();
  if (arguments.folder.empty())
    throw Failure(Status::badFile, "no folder: name one with --dir or ONAGER_CACHE_DIR");
  struct stat info;
  bool isAbsent = lstat(arguments.folder.c_str(), &info) && errno == ENOENT;
  rt::VariantCache cache;
  // The user's own folder comes with the first variant; until then it is empty.
  if (isNamed || !isAbsent)
    if (rt::Outcome outcome = cache.open(arguments.folder, rt::VariantCache::kDefaultBytes, /*write=*/isPruning, /*make=*/false); !outcome)
      throw Failure(Status::badFile, outcome.message);
  if (isPruning && !isAbsent && !cache.isWritable())
    throw Failure(Status::badFile, "the cache " + arguments.folder + " can only be read");
  if (isPruning)
    pruneEntries(cache, arguments);
  else if (arguments.action == "list")
    listEntries(cache, arguments);
  else
    verifyEntries(cache, arguments);
  return Status::ok;
}

Command addCache(CLI::App &app) {
  auto arguments = std::make_shared<CacheArguments>();
  app.add_option("action", arguments->action,
                 "list: group, key, size, time since the last use and what decided each variant; prune: remove those that were not used for the longest time, down to "
                 "--max-bytes; verify: read all, status 1 where some are damaged")
      ->required()
      ->transform(oneOf({"list", "prune", "verify"}))
      ->type_name("list|prune|verify");
  app.add_option("--dir", arguments->folder, "The folder; otherwise ONAGER_CACHE_DIR/variants, XDG_CACHE_HOME/onager/variants or ~/.cache/onager/variants")->type_name("DIR");
  CLI::Option *limit = app.add_option("--max-bytes", arguments->maxBytes, "What prune leaves at most, 0: nothing")->type_name("N")->check(CLI::Range(int64_t{0}, INT64_MAX))->capture_default_str();
  app.add_flag("--json", arguments->isJson, "Print JSON");
  return [arguments, limit] { return runCache(*arguments, limit->count() > 0); };
}

} // namespace onager::cli
