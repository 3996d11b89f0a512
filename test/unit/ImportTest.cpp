// Files that the importer must not read, and files that a refused compilation must not leave.
#include "test/unit/Support.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace onager;
using namespace onager::test;
namespace fs = std::filesystem;

namespace {
/// A folder with a model whose weights lie in a file beside it.
class ExternalData : public testing::Test {
protected:
  void SetUp() override {
    folder = getFolder() + "/external" + std::to_string(counter++);
    fs::create_directories(folder + "/inside/deep");
    for (const char *place : {"/secret.bin", "/inside/w.bin", "/inside/deep/w.bin"})
      writeFile(folder + place, std::string(16, '\0'));
  }

  /// Writes y = x + w with w in `location` and compiles it.
  CompileResult compileWith(const std::string &location, const std::string &offset = "", const std::string &length = "") {
    onnx::ModelProto model;
    model.set_ir_version(8);
    model.add_opset_import()->set_version(17);
    auto &graph = *model.mutable_graph();
    graph.set_name("g");
    auto &tensor = *graph.add_initializer();
    tensor.set_name("w");
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    tensor.add_dims(4);
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    auto add = [&](const char *key, const std::string &value) {
      if (value.empty())
        return;
      auto &entry = *tensor.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    };
    add("location", location);
    add("offset", offset);
    add("length", length);
    auto &node = *graph.add_node();
    node.set_op_type("Add");
    node.add_input("x");
    node.add_input("w");
    node.add_output("y");
    for (auto *value : {graph.add_input(), graph.add_output()}) {
      value->set_name(value == &graph.input(0) ? "x" : "y");
      auto &type = *value->mutable_type()->mutable_tensor_type();
      type.set_elem_type(onnx::TensorProto::FLOAT);
      type.mutable_shape()->add_dim()->set_dim_value(4);
    }
    CompileOptions options;
    options.model = folder + "/inside/model.onnx";
    options.output = folder + "/inside/model.so";
    writeFile(options.model, model.SerializeAsString());
    return compile(options);
  }

  void expectRefused(const std::string &location, const std::string &part, const std::string &offset = "", const std::string &length = "") {
    CompileResult result = compileWith(location, offset, length);
    EXPECT_NE(result.status, Status::ok) << location;
    EXPECT_NE(result.status, Status::internal) << result.error;
    EXPECT_NE(result.error.find("'w'"), std::string::npos) << result.error;
    EXPECT_NE(result.error.find(part), std::string::npos) << result.error;
    EXPECT_FALSE(fs::exists(folder + "/inside/model.so"));
  }

  static int counter;
  std::string folder;
};
int ExternalData::counter = 0;
} // namespace

TEST_F(ExternalData, InsideTheFolder) {
  EXPECT_EQ(compileWith("w.bin").status, Status::ok);
  EXPECT_EQ(compileWith("deep/w.bin").status, Status::ok);
  EXPECT_EQ(compileWith("./w.bin", "0", "16").status, Status::ok);
}

TEST_F(ExternalData, EscapesAreRefused) {
  for (const std::string &location : {std::string("../secret.bin"), std::string("deep/../../secret.bin"), std::string("./../secret.bin"), folder + "/secret.bin",
                                      std::string("/etc/passwd"), std::string("deep/../w.bin/../../secret.bin"), std::string("..")})
    expectRefused(location, "outside the model's folder");
}

TEST_F(ExternalData, SymbolicLinksThatLeadOutAreRefused) {
  fs::create_symlink(folder + "/secret.bin", folder + "/inside/file-link");
  fs::create_directory_symlink(folder, folder + "/inside/folder-link");
  fs::create_symlink("/etc/hostname", folder + "/inside/absolute-link");
  expectRefused("file-link", "outside the model's folder");
  expectRefused("folder-link/secret.bin", "outside the model's folder");
  expectRefused("absolute-link", "outside the model's folder");
}

TEST_F(ExternalData, SymbolicLinksInsideWork) {
  fs::create_symlink("deep/w.bin", folder + "/inside/good-link");
  EXPECT_EQ(compileWith("good-link").status, Status::ok);
}

TEST_F(ExternalData, PlacesThatAreNoFilesAreRefused) {
  expectRefused("absent.bin", "absent.bin");
  expectRefused("deep", "not a regular file");
  ASSERT_EQ(mkfifo((folder + "/inside/pipe").c_str(), 0600), 0);
  expectRefused("pipe", "not a regular file");
  fs::create_symlink("loop", folder + "/inside/loop");
  expectRefused("loop", "loop");
  writeFile(folder + "/inside/empty.bin", "");
  expectRefused("empty.bin", "empty");
  expectRefused(std::string("w.bin\0x", 7), "location");
}

TEST_F(ExternalData, RangesOutsideTheFileAreRefused) {
  expectRefused("w.bin", "16 bytes", "1");
  expectRefused("w.bin", "16 bytes", "16");
  expectRefused("w.bin", "16 bytes", "18446744073709551615");
  expectRefused("w.bin", "expected a number", "-1");
  expectRefused("w.bin", "expected a number", "abc");
  expectRefused("w.bin", "expected a number", "99999999999999999999999");
  expectRefused("w.bin", "16 bytes", "0", "8");
  expectRefused("w.bin", "16 bytes", "0", "32");
  expectRefused("w.bin", "16 bytes", "0", "18446744073709551615");
}

TEST_F(ExternalData, BytesWithoutAFolderAreRefused) {
  compileWith("w.bin");
  std::string bytes = readFile(folder + "/inside/model.onnx");
  CompileOptions options;
  options.bytes = bytes;
  options.output = folder + "/memory.so";
  CompileResult result = compile(options);
  EXPECT_NE(result.status, Status::ok);
  EXPECT_NE(result.error.find("external data"), std::string::npos) << result.error;
}

static size_t countFiles(const std::string &folder) {
  size_t count = 0;
  for ([[maybe_unused]] const auto &entry : fs::directory_iterator(folder))
    ++count;
  return count;
}

TEST(Refused, LeavesNoFileAndNoTrace) {
  std::string folder = getFolder() + "/refused";
  fs::create_directories(folder);
  std::string old = folder + "/model.so";
  for (const std::string &text : {makeModel("(float[2] x) => (float[2] y)", "y = NoSuchOperator(x)"), makeModel("(float[2] x) => (float[3] y)", "y = Reshape(x, x)"),
                                  makeModel("(float[2] x) => (float[2] y)", "y = Relu(z)"), std::string("not a model"), std::string("\x08\x0a\xff\xff")}) {
    CompileOptions options;
    options.bytes = text;
    options.output = old;
    CompileResult fresh = compile(options);
    EXPECT_NE(fresh.status, Status::ok) << text;
    EXPECT_NE(fresh.status, Status::internal) << fresh.error;
    EXPECT_FALSE(fresh.error.empty());
    EXPECT_EQ(countFiles(folder), 0u) << text;
    writeFile(old, "as it was");
    EXPECT_NE(compile(options).status, Status::ok);
    EXPECT_EQ(readFile(old), "as it was");
    EXPECT_EQ(countFiles(folder), 1u);
    fs::remove(old);
  }
}

TEST(Refused, ListsAllNodes) {
  CompileOptions options;
  std::string text = makeModel("(float[2] x) => (float[2] z)", "[first] y = NoSuchOperator(x)\n[second] w = Relu(x)\n[third] z = NoOtherOperator(w)");
  options.bytes = text;
  options.output = getFolder() + "/never.so";
  CompileResult result = compile(options);
  EXPECT_EQ(result.status, Status::refused);
  EXPECT_NE(result.error.find("'first' (op NoSuchOperator, domain ai.onnx, opset 21)"), std::string::npos) << result.error;
  EXPECT_NE(result.error.find("'third' (op NoOtherOperator"), std::string::npos) << result.error;
  EXPECT_EQ(result.error.find("second"), std::string::npos) << result.error;
}

TEST(Options, UnknownAndMalformedOnesAreRefused) {
  for (auto [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"nonsense", "1"}, {"", ""}, {"opt_level", "4"}, {"opt_level", "-1"}, {"opt_level", "fast"}, {"opt_level", ""}, {"target", "vax"}, {"emit", "jpeg"},
           {"stop_after", "lunch"}, {"shape", "x"}, {"shape", "x=1x"}, {"shape", "x=1x-2"}, {"shape", "x=99999999999999999999"}, {"name", "1st"}, {"name", "a b"},
           {"name", ""}, {"verify_each", "maybe"}}) {
    CompileOptions options;
    std::string error;
    EXPECT_FALSE(setOption(options, key, value, error)) << key << "=" << value;
    EXPECT_FALSE(error.empty()) << key << "=" << value;
  }
  CompileOptions options;
  std::string error;
  EXPECT_TRUE(setOption(options, "stop_after", "graph", error));
  EXPECT_TRUE(setOption(options, "stop-after", "graph", error));
  EXPECT_TRUE(setOption(options, "shape", "a=b=1x2", error));
  EXPECT_EQ(options.shapes["a=b"], (std::vector<int64_t>{1, 2}));
}
