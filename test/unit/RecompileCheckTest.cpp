// The check of new variants beside the generic form: what counts as a difference.
#include "test/unit/SpecialSession.h"
#include <gtest/gtest.h>

using namespace onager::test;

namespace {

/// Compiles a model whose output has a type.
std::string compileOutput(const std::string &type, const std::string &nodes) { return compileModel(makeModel("(float[n,4] x) => (" + type + "[n,4] y)", nodes)); }

/// Has the variant of one model checked by the generic form of another; returns what is wrong with it.
std::string check(const std::string &type, const std::string &generic, const std::string &special) {
  std::string compiler = writeCompiler(makeVariant(compileOutput(type, special), "n=64", "checked.so"));
  onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_LAZY);
  settings.check = 1;
  settings.compiler = compiler.c_str();
  Special session(compileOutput(type, generic), settings);
  return session.warmUp(64) == ONAGER_OK ? "" : onager_last_error();
}

std::string makeCast(int type, const std::string &factor) { return "f = Constant<value_float = " + factor + ">()\nm = Mul(x, f)\ny = Cast<to = " + std::to_string(type) + ">(m)"; }

} // namespace

TEST(RecompileCheck, ACheckedVariantThatAgreesRuns) {
  onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_LAZY);
  settings.check = 1;
  Special special(compileModel(makeModel("(float[n,4] x) => (float[n,4] y)", "t = Transpose(x)\ns = MatMul(x, t)\np = Softmax(s)\ny = MatMul(p, x)")), settings);
  ASSERT_EQ(special.warmUp(7), ONAGER_OK) << onager_last_error();
  EXPECT_FLOAT_EQ(special.run(7), 1);
  EXPECT_EQ(special.stats().hits, 1u);
}

TEST(RecompileCheck, ACheckedVariantThatDiffersDoesNot) {
  std::string compiler = writeCompiler(makeVariant(compileScale(5), "n=4", "wrong.so"));
  for (bool isChecked : {true, false}) {
    onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_LAZY);
    settings.check = isChecked;
    settings.compiler = compiler.c_str();
    Special special(compileScale(2), settings);
    EXPECT_EQ(special.warmUp(4) == ONAGER_OK, !isChecked);
    EXPECT_EQ(special.run(4), isChecked ? 2 : 5) << "without the check it would run";
    ASSERT_EQ(special.events.lines.size(), 1u);
    EXPECT_EQ(special.events.lines[0].find("differs from the generic form: output 'y' by") != std::string::npos, isChecked) << special.events.lines[0];
  }
}

TEST(RecompileCheck, FloatsOf16BitsAreNumbers) {
  for (int type : {ONAGER_F16, ONAGER_BF16}) {
    std::string name = type == ONAGER_F16 ? "float16" : "bfloat16";
    EXPECT_EQ(check(name, makeCast(type, "2.0"), makeCast(type, "2.01")), "");
    std::string said = check(name, makeCast(type, "2.0"), makeCast(type, "2.1"));
    EXPECT_NE(said.find("output 'y' by 0.1"), std::string::npos) << said;
  }
}

TEST(RecompileCheck, IntegersOf8BitsMayRoundDifferently) {
  for (int type : {ONAGER_I8, ONAGER_U8}) {
    std::string name = type == ONAGER_I8 ? "int8" : "uint8", nodes = "a = Abs(x)\nf = Constant<value_float = ";
    auto make = [&](const std::string &factor) { return nodes + factor + ">()\nm = Mul(a, f)\ny = Cast<to = " + std::to_string(type) + ">(m)"; };
    EXPECT_EQ(check(name, make("100.0"), make("100.9")), "");
    std::string said = check(name, make("100.0"), make("110.0"));
    EXPECT_NE(said.find("differs from the generic form: output 'y' by"), std::string::npos) << said;
  }
}

TEST(RecompileCheck, OtherIntegersAndBoolsAreExact) {
  for (auto [type, name] : {std::pair(ONAGER_I64, "int64"), {ONAGER_I32, "int32"}, {ONAGER_I16, "int16"}, {ONAGER_U16, "uint16"}}) {
    EXPECT_EQ(check(name, makeCast(type, "100.0"), makeCast(type, "100.0")), "");
    EXPECT_NE(check(name, makeCast(type, "100.0"), makeCast(type, "101.0")).find("output 'y' has other values"), std::string::npos) << name;
  }
  auto compare = [](const std::string &bound) { return "f = Constant<value_float = " + bound + ">()\ny = Greater(x, f)"; };
  EXPECT_EQ(check("bool", compare("0.5"), compare("0.5")), "");
  EXPECT_NE(check("bool", compare("0.5"), compare("0.1")).find("output 'y' has other values"), std::string::npos);
}

TEST(RecompileCheck, InfinitiesAndNansAreTheSame) {
  const std::string up = "z = Constant<value_float = 0.0>()\na = Abs(x)\ni = Div(a, z)\n", plus = up + "y = Identity(i)", minus = up + "y = Neg(i)", nan = up + "y = Sub(i, i)";
  for (const std::string &same : {plus, minus, nan})
    EXPECT_EQ(check("float", same, same), "") << same;
  for (const auto &[generic, special] : {std::pair(plus, minus), {plus, nan}, {nan, minus}, {plus, std::string("y = Identity(x)")}})
    EXPECT_NE(check("float", generic, special).find("where it should be"), std::string::npos) << generic << special;
}
