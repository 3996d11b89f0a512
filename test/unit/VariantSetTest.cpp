// Tables of variants: their order, publication, eviction, readers beside writers; counting of shapes.
#include "runtime/core/variants.h"
#include "runtime/recompile/shapes.h"
#include "test/unit/LinkedModel.h"
#include "test/unit/Support.h"
#include <gtest/gtest.h>
#include <thread>

using namespace onager::rt;
using onager::test::LinkedModel;
using onager::test::runForm;

namespace {

const std::vector<std::string> kNames{"batch", "seq"};

/// A variant of a guard; one that was loaded has an owner.
std::shared_ptr<Variant> make(const std::string &text, uint64_t hits = 0, bool isLoaded = true) {
  auto variant = std::make_shared<Variant>();
  std::string error;
  EXPECT_TRUE(parseGuard(text, kNames, variant->code.manifest.guard, error)) << error;
  variant->hits = hits;
  variant->bytes = 100;
  if (isLoaded)
    variant->owner = std::make_shared<Model>();
  return variant;
}

std::string describe(const VariantTable &table) {
  std::string text;
  for (const auto &variant : table.variants)
    text += (text.empty() ? "" : " | ") + print(variant->guard(), kNames);
  return text;
}

std::string find(const VariantSet &set, int64_t batch, int64_t seq) {
  int64_t symbols[] = {batch, seq};
  Variant *variant = set.get()->find(symbols);
  return variant ? print(variant->guard(), kNames) : "";
}

} // namespace

TEST(VariantSet, TheMostSpecificComesFirst) {
  VariantSet set;
  for (const char *text : {"batch=1", "seq=16:512:16", "batch=1,seq=128", "batch=1,seq=16:512:16"})
    set.publish(make(text));
  EXPECT_EQ(find(set, 1, 128), "batch=1,seq=128");
  EXPECT_EQ(find(set, 1, 64), "batch=1,seq=16:512:16");
  EXPECT_EQ(find(set, 1, 5), "batch=1");
  EXPECT_EQ(find(set, 3, 32), "seq=16:512:16");
  EXPECT_EQ(find(set, 3, 5), "");
  EXPECT_EQ(find(set, 0, 0), "") << "no guard means no extents";
}

TEST(VariantSet, WhatIsHitMoreComesEarlierAmongOthers) {
  VariantSet set;
  set.publish(make("seq=1", 5));
  set.publish(make("seq=2", 50));
  set.publish(make("seq=3", 10));
  EXPECT_EQ(describe(*set.get()), "seq=2 | seq=3 | seq=1");
}

TEST(VariantSet, AGuardIsThereOnce) {
  VariantSet set;
  uint64_t before = set.generation();
  set.publish(make("seq=1"));
  set.publish(make("seq=1"));
  EXPECT_EQ(set.get()->variants.size(), 1u);
  EXPECT_EQ(set.generation(), before + 2);
}

TEST(VariantSet, TheLeastUsedGoesButNoneOfTheArtifact) {
  VariantSet set;
  set.publish(make("seq=1", 0, /*isLoaded=*/false));
  set.publish(make("seq=2", 7));
  set.publish(make("seq=3", 3));
  uint64_t bytes = 0;
  EXPECT_EQ(set.count(bytes), 2u);
  EXPECT_EQ(bytes, 200u);
  Guard evicted;
  ASSERT_TRUE(set.evict(evicted));
  EXPECT_EQ(print(evicted, kNames), "seq=3");
  ASSERT_TRUE(set.evict(evicted));
  EXPECT_EQ(print(evicted, kNames), "seq=2");
  EXPECT_FALSE(set.evict(evicted));
  EXPECT_EQ(describe(*set.get()), "seq=1");
}

TEST(VariantSet, ReadersKeepWhatTheySaw) {
  VariantSet set;
  auto variant = make("seq=1");
  std::weak_ptr<Variant> watched = variant;
  set.publish(std::move(variant));
  std::shared_ptr<const VariantTable> seen = set.get();
  Guard evicted;
  ASSERT_TRUE(set.evict(evicted));
  EXPECT_FALSE(watched.expired());
  EXPECT_EQ(describe(*seen), "seq=1");
  seen.reset();
  EXPECT_TRUE(watched.expired());
}

TEST(VariantSet, ReadersAndWritersAtOnce) {
  VariantSet set;
  std::atomic<bool> isDone{false};
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t)
    readers.emplace_back([&] {
      std::shared_ptr<const VariantTable> table;
      uint64_t seen = 0;
      while (!isDone.load()) {
        if (seen != set.generation()) {
          seen = set.generation();
          table = set.get();
        }
        int64_t symbols[] = {1, 3};
        if (Variant *variant = table->find(symbols))
          variant->hits.fetch_add(1);
      }
    });
  Guard evicted;
  for (int round = 0; round < 2000; ++round) {
    set.publish(make("seq=" + std::to_string(round % 5)));
    if (round % 3 == 0)
      set.evict(evicted);
  }
  isDone.store(true);
  for (std::thread &reader : readers)
    reader.join();
  EXPECT_LE(set.get()->variants.size(), 5u);
}

namespace {

/// A linked model of one input [n] and one output [2].
struct Linked : LinkedModel {
  Linked() {
    manifest.symbols = {"n"};
    manifest.work.tokens = {{Expr::Const, 1}};
    manifest.inputs.resize(1);
    manifest.inputs[0] = {"x", ONAGER_F32, {{{{Expr::Symbol, 0}}}}, -1, "", ""};
    manifest.outputs.resize(1);
    manifest.outputs[0] = {"y", ONAGER_I64, {{{{Expr::Const, 2}}}}, -1, "", ""};
    open();
  }
  /// A variant for one extent.
  std::shared_ptr<Variant> makeVariant(int64_t extent) const { return LinkedModel::makeVariant({{Atom::Equal, 0, extent, 0}}); }
};

/// Runs on an input of an extent; returns which form ran.
int64_t runOn(Context &context, int64_t extent) {
  static const float x[16] = {};
  int64_t y[2] = {-1, -1};
  onager_tensor input{sizeof input, ONAGER_F32, 1, 0, const_cast<float *>(x), &extent, sizeof x}, output{sizeof output, 0, 0, 0, y, nullptr, sizeof y};
  Outcome outcome = context.run(&input, 1, &output, 1);
  EXPECT_TRUE(bool(outcome)) << outcome.message;
  EXPECT_EQ(y[1], extent) << "the variant has the symbols of the generic form";
  return y[0];
}

} // namespace

TEST(VariantRuns, TakeWhatIsPublishedAndDropWhatIsGone) {
  Linked linked;
  Context context(linked.session), pinned(linked.session);
  EXPECT_EQ(runOn(context, 3), 0);
  pinned.pin(true);
  linked.session.variants->publish(linked.makeVariant(3));
  EXPECT_EQ(runOn(context, 3), 1);
  EXPECT_EQ(runOn(context, 4), 0);
  EXPECT_EQ(runOn(pinned, 3), 0);
  pinned.pin(false);
  EXPECT_EQ(runOn(pinned, 3), 1);
  pinned.pin(true);
  Guard evicted;
  ASSERT_TRUE(linked.session.variants->evict(evicted));
  EXPECT_EQ(runOn(context, 3), 0);
  EXPECT_EQ(runOn(pinned, 3), 1) << "a pinned context keeps what it has";
  EXPECT_EQ(linked.session.hits.load(), 3u);
  EXPECT_EQ(linked.session.misses.load(), 4u);
}

TEST(VariantRuns, OfAFrozenSessionSeeNoChange) {
  Linked linked;
  Session sibling(linked.options, nullptr, 1);
  sibling.share(linked.session);
  EXPECT_TRUE(bool(sibling.finish({})));
  Context before(linked.session), other(sibling);
  sibling.variants->publish(linked.makeVariant(3));
  EXPECT_EQ(runOn(before, 3), 1);
  linked.session.freeze();
  linked.session.freeze();
  EXPECT_TRUE(linked.session.isFrozen() && !sibling.isFrozen());
  Context after(linked.session);
  Guard evicted;
  ASSERT_TRUE(sibling.variants->evict(evicted));
  sibling.variants->publish(linked.makeVariant(4));
  for (Context *context : {&before, &after}) {
    EXPECT_EQ(runOn(*context, 3), 1);
    EXPECT_EQ(runOn(*context, 4), 0);
    context->pin(true);
    EXPECT_EQ(runOn(*context, 3), 1);
  }
  EXPECT_EQ(runOn(other, 3), 0);
  EXPECT_EQ(runOn(other, 4), 1);
}

TEST(VariantRuns, GoOnWhileASessionIsFrozen) {
  Linked linked;
  std::atomic<bool> isDone{false}, isFrozen{false};
  std::atomic<int> changes{0};
  std::vector<std::thread> runners;
  for (int t = 0; t < 3; ++t)
    runners.emplace_back([&] {
      Context context(linked.session);
      int64_t form = -1;
      while (!isDone.load()) {
        bool isFixed = isFrozen.load();
        int64_t ran = runOn(context, 3);
        changes += isFixed && form >= 0 && form != ran;
        form = isFixed ? ran : -1;
      }
    });
  Guard evicted;
  for (int round = 0; round < 4000; ++round) {
    if (round % 2)
      linked.session.variants->publish(linked.makeVariant(3));
    else
      linked.session.variants->evict(evicted);
    if (round == 1000) {
      linked.session.freeze();
      isFrozen.store(true);
    }
  }
  isDone.store(true);
  for (std::thread &runner : runners)
    runner.join();
  EXPECT_EQ(changes.load(), 0);
}

TEST(VariantRuns, GoOnWhileVariantsComeAndGo) {
  Linked linked;
  std::atomic<bool> isDone{false};
  std::vector<std::thread> runners;
  for (int t = 0; t < 3; ++t)
    runners.emplace_back([&] {
      Context context(linked.session);
      for (int64_t k = 0; !isDone.load(); ++k)
        runOn(context, k % 6);
    });
  Guard evicted;
  // Until the runners have had their share, however busy the machine is.
  for (int round = 0; round < 1000 || linked.session.hits.load() + linked.session.misses.load() < 1000; ++round) {
    linked.session.variants->publish(linked.makeVariant(round % 6));
    if (round % 4 == 3)
      linked.session.variants->evict(evicted);
  }
  isDone.store(true);
  for (std::thread &runner : runners)
    runner.join();
  EXPECT_GE(linked.session.hits.load() + linked.session.misses.load(), 1000u);
}

TEST(VariantRuns, AllocateNothingOnceEachVariantHasRun) {
  if (!onager::test::canCountAllocations())
    GTEST_SKIP() << "the sanitiser owns the allocator";
  Linked linked;
  for (int64_t extent = 0; extent < 12; ++extent)
    linked.session.variants->publish(linked.makeVariant(extent));
  Context context(linked.session);
  for (int64_t extent = 0; extent < 16; ++extent)
    runOn(context, extent);
  uint64_t before = onager::test::countAllocations();
  for (int64_t k = 0; k < 100; ++k)
    runOn(context, k % 16);
  EXPECT_EQ(onager::test::countAllocations() - before, 0u);
}

TEST(ShapeCounter, AShapeBecomesWantedOnce) {
  ShapeCounter counter({0, 2});
  int64_t symbols[] = {1, 99, 128};
  auto isHot = [](uint64_t runs, double) { return runs >= 4; };
  for (int k = 0; k < 3; ++k)
    EXPECT_FALSE(counter.count(symbols, 0.5, isHot));
  EXPECT_TRUE(counter.count(symbols, 0.5, isHot));
  EXPECT_FALSE(counter.count(symbols, 0.5, isHot)) << "it is wanted already";
  Shape shape;
  double seconds = 0;
  ASSERT_TRUE(counter.take(shape, seconds));
  EXPECT_EQ(shape, (Shape{1, 128}));
  EXPECT_DOUBLE_EQ(seconds, 0.5);
  EXPECT_FALSE(counter.take(shape, seconds));
  EXPECT_FALSE(counter.count(symbols, 0.5, isHot)) << "it was made";
}

TEST(ShapeCounter, TheShapeThatTookMostTimeIsTakenFirst) {
  ShapeCounter counter({0});
  auto always = [](uint64_t, double) { return true; };
  int64_t slow = 7, fast = 8;
  EXPECT_TRUE(counter.count(&fast, 0.1, always));
  EXPECT_TRUE(counter.count(&slow, 0.9, always));
  Shape shape;
  double seconds;
  ASSERT_TRUE(counter.take(shape, seconds));
  EXPECT_EQ(shape, Shape{7});
}

TEST(ShapeCounter, FrequentShapesOutliveRareOnes) {
  ShapeCounter counter({0});
  auto isHot = [](uint64_t runs, double) { return runs >= 500; };
  int64_t frequent = 1;
  bool isWanted = false;
  for (int64_t round = 0; round < 1000 && !isWanted; ++round) {
    isWanted = counter.count(&frequent, 1e-3, isHot);
    for (int64_t k = 0; k < 20; ++k) {
      int64_t rare = 1000 + round * 20 + k;
      EXPECT_FALSE(counter.count(&rare, 1e-3, isHot));
    }
  }
  EXPECT_TRUE(isWanted);
}

TEST(ShapeCounter, ShapesWhoseVariantsGaveWayReturnEverLater) {
  ShapeCounter counter({0});
  auto always = [](uint64_t, double) { return true; };
  int64_t symbol = 7;
  Shape shape{7};
  double seconds;
  EXPECT_TRUE(counter.count(&symbol, 0.5, always));
  uint64_t expected[] = {16, 32, 64, 200, 400};
  for (uint64_t runs : expected) {
    ASSERT_TRUE(counter.take(shape, seconds));
    EXPECT_DOUBLE_EQ(seconds, 0.5);
    counter.demote({7}, runs == 200 ? 200 : 16);
    EXPECT_EQ(counter.findMostMet(), Shape{7});
    for (uint64_t run = 1; run < runs; ++run)
      EXPECT_FALSE(counter.count(&symbol, 0.5, always)) << run << " of " << runs;
    EXPECT_TRUE(counter.count(&symbol, 0.5, always)) << runs;
  }
  counter.demote({8}, 16);
  counter.want({8});
  ASSERT_TRUE(counter.take(shape, seconds));
  ASSERT_TRUE(counter.take(shape, seconds));
  EXPECT_EQ(shape, Shape{8}) << "what is asked for need not wait";
  EXPECT_EQ(seconds, 0);
  EXPECT_TRUE(counter.findMostMet().empty());
}

TEST(ShapeCounter, ThirteenShapesOnEightPlacesSettle) {
  constexpr int64_t kShapes = 13, kPlaces = 8, kRuns = 200000;
  ShapeCounter counter({0});
  VariantSet set;
  int evictions = 0;
  for (int64_t run = 0; run < kRuns; ++run) {
    int64_t extent = run % kShapes;
    if (Variant *variant = set.get()->find(&extent)) {
      variant->hits.fetch_add(1);
      continue;
    }
    Shape shape;
    double seconds;
    if (!counter.count(&extent, 1e-6, [](uint64_t, double) { return true; }) || !counter.take(shape, seconds))
      continue;
    Guard gone;
    uint64_t bytes = 0;
    if (set.count(bytes) >= kPlaces && set.evict(gone)) {
      ++evictions;
      counter.demote({gone[0].a}, 16);
    }
    set.publish(make("batch=" + std::to_string(extent)));
  }
  EXPECT_LE(evictions, kShapes * 12) << "once at first, then after 16, 32, 64, ... runs";
}

namespace {

/// What becomes of one value of an input with one element.
int64_t filterValue(ValueFilter &filter, int64_t value, bool isAsked = false) {
  int64_t shape[] = {77, value};
  filter.apply(shape, isAsked);
  EXPECT_EQ(shape[0], 77) << "what is no value of the input stays";
  return shape[1];
}

} // namespace

TEST(ValueFilter, KeepsWhatComesAgain) {
  ValueFilter filter(1, 1, 3);
  EXPECT_EQ(filterValue(filter, 16000), kUnknownValue);
  EXPECT_EQ(filterValue(filter, 16000), kUnknownValue);
  EXPECT_EQ(filterValue(filter, 16000), 16000);
  EXPECT_EQ(filterValue(filter, 8000), kUnknownValue);
  EXPECT_EQ(filterValue(filter, 8000, /*isAsked=*/true), 8000) << "what is asked for need not come again";
  EXPECT_EQ(filterValue(filter, kUnknownValue, /*isAsked=*/true), kUnknownValue);
  EXPECT_EQ(filterValue(filter, 16000), 16000);
}

TEST(ValueFilter, KeepsNothingOfWhatChangesAllTheTime) {
  ValueFilter filter(1, 1, 4);
  for (int64_t k = 0; k < 10000; ++k)
    ASSERT_EQ(filterValue(filter, k), kUnknownValue) << k;
  for (int k = 0; k < 3; ++k)
    filterValue(filter, -1);
  EXPECT_EQ(filterValue(filter, 5), kUnknownValue);
  EXPECT_EQ(filterValue(filter, -1), -1) << "a value that comes often among others is found all the same";
}

TEST(ValueFilter, KeepsNoMoreThanSoManyValues) {
  for (bool isAsked : {false, true}) {
    ValueFilter filter(1, 1, 1);
    size_t kept = 0;
    for (int64_t k = 0; k < 1000; ++k)
      kept += filterValue(filter, k, isAsked) != kUnknownValue;
    EXPECT_EQ(kept, ValueFilter::kMostValues);
    EXPECT_EQ(filterValue(filter, 0), 0) << "what was kept stays";
  }
}

TEST(ValueFilter, ElementsOfAnInputAreOneValue) {
  ValueFilter filter(0, 2, 2);
  auto apply = [&](int64_t a, int64_t b) {
    int64_t shape[] = {a, b};
    filter.apply(shape, false);
    return std::pair(shape[0], shape[1]);
  };
  std::pair<int64_t, int64_t> unknown(kUnknownValue, kUnknownValue);
  EXPECT_EQ(apply(1, 2), unknown);
  EXPECT_EQ(apply(1, 3), unknown);
  EXPECT_EQ(apply(1, 2), std::pair(int64_t(1), int64_t(2)));
  EXPECT_EQ(apply(2, 2), unknown);
}

TEST(ShapeCounter, ShapesWithChangingValuesCountForTheShapeAlone) {
  ShapeCounter counter({0, 2}, {ValueFilter(1, 1, 4)});
  auto isHot = [](uint64_t runs, double) { return runs >= 16; };
  int wanted = 0;
  for (int64_t k = 0; k < 1000; ++k) {
    int64_t symbols[] = {8, 0, k};
    wanted += counter.count(symbols, 0.1, isHot);
  }
  EXPECT_EQ(wanted, 1);
  Shape shape;
  double seconds;
  ASSERT_TRUE(counter.take(shape, seconds));
  EXPECT_EQ(shape, (Shape{8, kUnknownValue}));
  int64_t symbols[] = {8, 0, 7};
  EXPECT_EQ(counter.getShape(symbols), (Shape{8, 7}));
}

TEST(ShapeCounter, NothingIsWantedWhereOnlyChangingValuesDecide) {
  ShapeCounter counter({2}, {ValueFilter(0, 1, 1)});
  int wanted = 0;
  for (int64_t k = 0; k < 1000; ++k) {
    int64_t symbols[] = {0, 0, k};
    wanted += counter.count(symbols, 0.1, [](uint64_t, double) { return true; });
  }
  EXPECT_EQ(wanted, 8);
  int64_t symbols[] = {0, 0, 5000};
  EXPECT_TRUE(counter.getShape(symbols).empty());
}

namespace {

/// Runs a model of one input `k` of 2 elements, of which each decides.
struct LinkedValues : LinkedModel {
  explicit LinkedValues(uint64_t dtype) {
    manifest.symbols = {"k[0]", "k[1]"};
    manifest.work.tokens = {{Expr::Const, 1}};
    manifest.inputs = {{"k", dtype, {{{{Expr::Const, 2}}}}, -1, "", ""}};
    manifest.outputs = {{"y", ONAGER_I64, {{{{Expr::Const, 2}}}}, -1, "", ""}};
    manifest.values = {{0, 0, 0}, {1, 0, 1}};
    open();
  }
  void publish(Guard guard) { session.variants->publish(makeVariant(std::move(guard))); }
  /// Returns which form ran, and what it had for the first element.
  template <typename T> std::pair<int64_t, int64_t> run(T first, T second) {
    T k[2] = {first, second};
    int64_t y[2] = {-1, -1}, extent = 2;
    onager_tensor input{sizeof input, static_cast<int32_t>(manifest.inputs[0].dtype), 1, 0, k, &extent, sizeof k}, output{sizeof output, 0, 0, 0, y, nullptr, sizeof y};
    Outcome outcome = context->run(&input, 1, &output, 1);
    EXPECT_TRUE(bool(outcome)) << outcome.message;
    return {y[0], y[1]};
  }
  std::unique_ptr<Context> context;
};

/// Elements of a type are read as the numbers that they stand for.
template <typename T> void checkElements(uint64_t dtype, T first, T second, int64_t a, int64_t b) {
  LinkedValues linked(dtype);
  linked.publish({{Atom::Equal, 0, a, 0}, {Atom::Equal, 1, b, 0}});
  linked.context = std::make_unique<Context>(linked.session);
  EXPECT_EQ(linked.run(first, second), std::pair(int64_t(1), a));
  EXPECT_EQ(linked.run(second, first), std::pair(int64_t(0), b)) << "another value is the generic form's";
}

} // namespace

TEST(VariantRuns, AreChosenByTheValuesOfInputs) {
  checkElements<int64_t>(ONAGER_I64, -7, INT64_MAX, -7, INT64_MAX);
  checkElements<int32_t>(ONAGER_I32, -7, 9, -7, 9);
  checkElements<int16_t>(ONAGER_I16, -300, 9, -300, 9);
  checkElements<int8_t>(ONAGER_I8, -1, 9, -1, 9);
  checkElements<uint8_t>(ONAGER_U8, 255, 9, 255, 9);
  checkElements<uint16_t>(ONAGER_U16, 65535, 9, 65535, 9);
  checkElements<uint32_t>(ONAGER_U32, UINT32_MAX, 9, UINT32_MAX, 9);
  checkElements<uint8_t>(ONAGER_BOOL, 2, 0, 1, 0);
}

TEST(VariantRuns, ReadingValuesAllocatesNothing) {
  if (!onager::test::canCountAllocations())
    GTEST_SKIP() << "the sanitiser owns the allocator";
  LinkedValues linked(ONAGER_I64);
  for (int64_t k = 0; k < 32; ++k)
    linked.publish({{Atom::Equal, 0, k, 0}});
  linked.context = std::make_unique<Context>(linked.session);
  for (int64_t k = 0; k < 40; ++k)
    linked.run<int64_t>(k, 1);
  uint64_t before = onager::test::countAllocations();
  for (int64_t k = 0; k < 200; ++k)
    linked.run<int64_t>(k % 40, k);
  EXPECT_EQ(onager::test::countAllocations() - before, 0u);
}

TEST(Manifest, ValuesOfInputsThatCannotHaveThemAreRefused) {
  Manifest whole = LinkedValues(ONAGER_I64).manifest, read;
  std::string error;
  auto isRead = [&](const Manifest &manifest) {
    std::string bytes = encode(manifest);
    return decode(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size(), read, error);
  };
  ASSERT_TRUE(isRead(whole)) << error;
  EXPECT_EQ(read.values.size(), 2u);
  for (ValueInfo wrong : {ValueInfo{2, 0, 0}, ValueInfo{0, 1, 0}, ValueInfo{0, 0, 2}}) {
    Manifest damaged = whole;
    damaged.values[1] = wrong;
    EXPECT_FALSE(isRead(damaged));
  }
  for (uint64_t dtype : {uint64_t(ONAGER_F32), uint64_t(ONAGER_STRING), uint64_t(ONAGER_U64)}) {
    Manifest damaged = whole;
    damaged.inputs[0].dtype = dtype;
    EXPECT_FALSE(isRead(damaged));
  }
  Manifest open = whole;
  open.inputs[0].dims[0].tokens = {{Expr::Symbol, 0}};
  EXPECT_FALSE(isRead(open));
}

TEST(VariantRuns, ShapesThatWereOnlyAskedAboutChangeTheChoice) {
  Linked linked;
  Context context(linked.session);
  linked.session.variants->publish(linked.makeVariant(3));
  int64_t extent = 4;
  onager_tensor input{sizeof input, ONAGER_F32, 1, 0, nullptr, &extent, 0};
  uint64_t bytes = 0;
  EXPECT_EQ(runOn(context, 3), 1);
  ASSERT_TRUE(bool(context.queryMemory(&input, 1, bytes)));
  EXPECT_EQ(runOn(context, 4), 0);
  extent = 3;
  ASSERT_TRUE(bool(context.queryMemory(&input, 1, bytes)));
  EXPECT_EQ(runOn(context, 3), 1);
}

TEST(VariantRuns, InputsThatAreRefusedLeaveNothingBehind) {
  Linked linked;
  Context context(linked.session);
  linked.session.variants->publish(linked.makeVariant(3));
  float x[4] = {};
  int64_t y[2], extent = 3;
  onager_tensor output{sizeof output, 0, 0, 0, y, nullptr, sizeof y};
  onager_tensor good{sizeof good, ONAGER_F32, 1, 0, x, &extent, sizeof x};
  for (int round = 0; round < 2; ++round) { // the second time the shape is that of the run before
    onager_tensor small = good, missing = good, typed = good;
    small.bytes = 11;
    missing.data = nullptr;
    typed.dtype = ONAGER_F64;
    for (onager_tensor *bad : {&small, &missing, &typed})
      EXPECT_EQ(context.run(bad, 1, &output, 1).status, ONAGER_BAD_ARGUMENT);
    EXPECT_EQ(runOn(context, 3), 1);
    EXPECT_EQ(runOn(context, 5), 0);
    EXPECT_EQ(runOn(context, 3), 1);
  }
}

TEST(VariantRuns, RepeatedShapesReadTheInputsOfEachRun) {
  LinkedModel linked;
  linked.manifest.symbols = {"n"};
  linked.manifest.work.tokens = {{Expr::Const, 1}};
  linked.manifest.inputs = {{"x", ONAGER_I64, {{{{Expr::Symbol, 0}}}}, -1, "", ""}};
  linked.manifest.outputs = {{"y", ONAGER_I64, {{{{Expr::Const, 1}}}}, -1, "", ""}};
  linked.model.main = [](onager_run *run, int32_t) -> int32_t {
    *static_cast<int64_t *>(run->outputs[0]) = run->symbols[0] ? *static_cast<const int64_t *>(run->inputs[0]) : -1;
    return 0;
  };
  linked.open();
  Context context(linked.session);
  for (int64_t extent : {1, 1, 0, 0, 2, 2})
    for (int64_t value : {5, 6}) {
      int64_t x[2] = {value, 0}, y = 0;
      onager_tensor input{sizeof input, ONAGER_I64, 1, 0, extent ? x : nullptr, &extent, sizeof x}, output{sizeof output, 0, 0, 0, &y, nullptr, sizeof y};
      Outcome outcome = context.run(&input, 1, &output, 1);
      ASSERT_TRUE(bool(outcome)) << outcome.message;
      EXPECT_EQ(y, extent ? value : -1) << extent;
    }
}
