// What decides a variant's code decides its place in the cache.
#include "runtime/recompile/identity.h"
#include "runtime/cache/folder.h"
#include "runtime/cache/sha256.h"
#include <gtest/gtest.h>
#include <set>

using namespace onager::rt;

namespace {

/// What an entry is stored under.
struct Place {
  std::string form = "module {}", recipes = "recipes", processor = describeProcessor(), compiler = "100-1.2", guard = "#0=4";
  ModelIdentity model() const { return describeModel(form, recipes); }
  std::string preimage() const { return makePreimage(describeSurroundings(model(), processor), compiler, guard); }
  std::string key() const { return model().group + "/" + hashSha256(preimage()); }
};

} // namespace

TEST(Identity, EachFieldChangesTheKey) {
  std::set<std::string> keys{Place().key()};
  for (std::string Place::*field : {&Place::form, &Place::recipes, &Place::processor, &Place::compiler, &Place::guard})
    for (const char *end : {"", "x", "y"}) {
      Place other;
      (other.*field) += end;
      EXPECT_EQ(keys.insert(other.key()).second, *end != 0) << other.preimage();
    }
  Place moved;
  moved.form += moved.recipes.substr(0, 1);
  moved.recipes.erase(0, 1);
  EXPECT_TRUE(keys.insert(moved.key()).second) << "what is a part of the form is none of the recipes";
}

TEST(Identity, PreimagesHoldWholeHashes) {
  Place place;
  std::string preimage = place.preimage();
  EXPECT_NE(preimage.find("\nform=" + hashSha256(place.form) + "\n"), std::string::npos) << preimage;
  EXPECT_NE(preimage.find("\nrecipes=" + hashSha256(place.recipes) + "\n"), std::string::npos) << preimage;
  EXPECT_NE(preimage.find(makeCompilerLine(place.compiler)), std::string::npos) << preimage;
  EXPECT_EQ(readGuardLine(preimage), place.guard);
  EXPECT_EQ(readGuardLine("abi=1\n"), "");
}

TEST(Identity, GroupsAreNamedByTheModel) {
  ModelIdentity model = Place().model();
  EXPECT_TRUE(isGroupName(model.group)) << model.group;
  EXPECT_EQ(model.group, hashSha256(model.lines).substr(0, kGroupDigits));
  Place other;
  other.recipes = "";
  EXPECT_NE(other.model().group, model.group);
}
