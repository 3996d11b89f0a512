// Which search fits the two sides, and what it came to.
#include "Bisect.h"
#include "Exposure.h"
#include "MixedModel.h"
#include "NodeSearch.h"
#include "PassSearch.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

namespace json = llvm::json;

namespace onager::cli {

/// More layers than these are no fault of one of them.
static constexpr size_t kMostLayers = 8;

std::string quoteCommand(const std::vector<std::string> &words) {
  std::string text;
  for (const std::string &word : words) {
    bool isPlain = !word.empty() && llvm::all_of(word, [](char c) { return llvm::isAlnum(c) || llvm::StringRef("_./:=,+-@%").contains(c); });
    std::string quoted = "'";
    for (char c : word)
      quoted += c == '\'' ? "'\\''" : std::string(1, c);
    text += (text.empty() ? "" : " ") + (isPlain ? word : quoted + "'");
  }
  return text;
}

std::optional<size_t> findBrokenSample(const Job &job, const Data &data) {
  if (data.size() == 1)
    return 0;
  CompiledSide mine(job.found, job.threads);
  std::unique_ptr<Side> theirs = openBeside(job.expected, mine, job.found.describe(), job.threads);
  for (size_t index = 0; index < data.size(); ++index)
    if (!areFine(compareSides(mine, *theirs, data.pick(index), job.judge)))
      return index;
  return std::nullopt;
}

/// The scheme of compressing that a node is a sign of; "" where it is of none.
static std::string findScheme(const onnx::NodeProto &node) {
  auto getAttribute = [&](llvm::StringRef name) {
    for (const onnx::AttributeProto &attribute : node.attribute())
      if (attribute.name() == name)
        return attribute.i();
    return int64_t(0);
  };
  if (node.op_type() == "QuantizeLinear" || node.op_type() == "DequantizeLinear")
    return "int8";
  if (node.op_type() == "MatMulNBits")
    return getAttribute("bits") == 4 ? "int4" : "int8-weights";
  if (node.op_type() == "Cast" && getAttribute("to") == onnx::TensorProto::FLOAT16)
    return "f16";
  return node.op_type() == "Cast" && getAttribute("to") == onnx::TensorProto::BFLOAT16 ? "bf16" : "";
}

namespace {

class Bisection {
public:
  Bisection(const Job &job, const Data &data) : job(job), data(data) {
    if (data.hasSamples() && data.size() == 1)
      extend({"--sample", std::to_string(data.getNumber(0))});
  }

  Blame run() {
    for (const Form *form : {&job.found, &job.expected})
      if (form->kind == Form::Kind::artifact)
        throw Failure(Status::badOption, form->source.shown + " is compiled already: --bisect needs models");
    if (job.expected.kind == Form::Kind::model && !areOfOneModel(job.found, job.expected))
      blameLayers();
    else if (areOfOneModel(job.found, job.expected) && job.found.options.optLevel < job.expected.options.optLevel)
      blamePasses(job.expected, job.found); // the passes are those of the higher level
    else
      blamePasses(job.found, job.expected);
    blame.json["trials"] = static_cast<int64_t>(trials);
    return std::move(blame);
  }

private:
  void say(const std::string &line) { blame.text += line + "\n"; }
  void extend(const std::vector<std::string> &more) {
    words.insert(words.end(), more.begin(), more.end());
  }
  std::vector<std::string> with(const std::vector<std::string> &more) const {
    std::vector<std::string> command = words;
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }
  void reproduce(const std::vector<std::string> &more) {
    std::string command = quoteCommand(with(more));
    say("reproduce: " + command);
    blame.json["reproduce"] = json::fixUTF8(command);
  }

  /// A side for many comparisons.
  std::unique_ptr<Side> openReference(const Form &form, const Form &leader) {
    CompiledSide mine(leader, job.threads);
    std::unique_ptr<Side> side = openBeside(form, mine, leader.describe(), job.threads);
    return data.size() == 1 ? keepOutputs(std::move(side)) : std::move(side);
  }

  /// Compares a form with the reference; what cannot be compiled is not broken. Counts how often it was asked.
  bool isBroken(const Form &form, Side &reference, CompileResult *told = nullptr) {
    ++trials;
    try {
      CompiledSide side(form, job.threads, told);
      return !areFine(compareSides(side, reference, data, job.judge));
    } catch (const Failure &failure) {
      if (failure.status != Status::internal && failure.status != Status::refused)
        throw;
      return false;
    }
  }

  static Form limit(const Form &form, int64_t passes, int64_t rewrites = -1) {
    Form copy = form;
    copy.options.passLimit = passes;
    copy.options.rewriteLimit = rewrites;
    return copy;
  }

  void nameNode(const Form &found, const Form &expected) {
    NodeFinding node = findNode(found, expected, data, job.judge, job.ownOutputs, job.threads);
    blame.text += describeFinding(node);
    if (!node.overflowing.empty())
      blame.json["overflow"] = json::Object{{"node", json::fixUTF8(node.overflowing)}, {"form", json::fixUTF8(node.overflowForm)}, {"elements", static_cast<int64_t>(node.overflows)}};
    if (!node.differing.empty()) {
      blame.json["node"] = json::fixUTF8(node.differing);
      blame.json["fused_only"] = node.isFusedOnly;
    }
  }

  void blamePasses(const Form &found, const Form &expected) {
    std::unique_ptr<Side> reference = openReference(expected, found);
    if (!isBroken(found, *reference))
      return blameOverflow(found, expected);
    PassFinding finding = findPass([&](int64_t passes, int64_t rewrites) {
      CompileResult told;
      bool broken = isBroken(limit(found, passes, rewrites), *reference, &told);
      return PassTrial{broken, told.passes, told.rewrites, told.lastRewrite};
    });
    blame.json["passes"] = static_cast<int64_t>(finding.count);
    if (!finding.pass)
      return blameCode(found, expected, *reference);
    std::string name = llvm::StringRef(finding.name).split(' ').first.str();
    say("broken by pass " + std::to_string(finding.pass) + " of " + std::to_string(finding.count) + ": " + finding.name);
    blame.json["kind"] = "pass";
    blame.json["pass"] = name;
    blame.json["pass_number"] = finding.pass;
    std::string limits = std::to_string(finding.pass);
    if (finding.rewrite) {
      say("its rewrite " + std::to_string(finding.rewrite) + ": " + finding.rewriteName);
      blame.json["rewrite"] = json::fixUTF8(finding.rewriteName);
      blame.json["rewrite_number"] = finding.rewrite;
      limits += ":" + std::to_string(finding.rewrite);
    }
    nameNode(limit(found, finding.pass, finding.rewrite ? finding.rewrite : -1), limit(found, finding.pass - 1));
    reproduce({"--pass-limit", limits});
    Form without = found;
    without.options.skippedPasses.push_back(name);
    bool helps = !isBroken(without, *reference);
    say(helps ? "without it all is fine: --skip-pass " + name : "leaving out " + name + " alone is not enough");
    blame.json["skip_pass_helps"] = helps;
  }

  /// No optional pass is to blame: LLVM is, or the code of a unit, or the reference form.
  void blameCode(const Form &found, const Form &expected, Side &reference) {
    Form plain = found;
    plain.options.optLevel = 0;
    blame.json["kind"] = "code";
    if (found.options.optLevel > 0 && expected.kind == Form::Kind::onnxRuntime && isBroken(plain, reference)) {
      say("broken in the reference form -O0 as well: the import, or the reference");
      blame.json["kind"] = "import";
      nameNode(plain, expected);
      return reproduce({"-O", "0"});
    }
    Form quick = limit(found, 0);
    quick.options.optLevel = 1;
    bool isLLVM = found.options.optLevel > 1 && !isBroken(quick, reference);
    say(isLLVM ? "broken by LLVM's optimisation: -O1, which has less of it, is fine" : "broken without optional passes: by the code of a unit");
    if (isLLVM)
      blame.json["kind"] = "llvm";
    Form bare = limit(found, 0);
    nameNode(bare, expected.kind == Form::Kind::model ? expected : plain);
    reproduce({"--pass-limit", "0"});
  }

  /// Both sides agree, in infinities and NaN as well.
  void blameOverflow(const Form &found, const Form &expected) {
    Form first = found;
    NodeFinding node = findNode(first, expected, data, job.judge, job.ownOutputs, job.threads);
    blame.json["kind"] = "overflow";
    if (node.overflowing.empty())
      return say("nothing is broken");
    blame.json["node"] = json::fixUTF8(node.overflowing);
    say("first node with infinities or NaN: " + node.overflowing + " (" + std::to_string(node.overflows) + " of " + std::to_string(node.elements) + " elements, in " + node.overflowForm + ")");
    reproduce({"--metric", "nonfinite<=0", "--per-node"});
  }

  void blameLayers() {
    MixedModel mixed(job.expected.source, job.found.source);
    std::unique_ptr<Side> reference = openReference(job.expected, job.found);
    size_t count = mixed.getShared().size();
    auto breaks = [&](const std::vector<bool> &chosen) {
      Form form = job.found;
      form.source.bytes = mixed.mix(chosen);
      form.source.path.clear();
      return isBroken(form, *reference);
    };
    if (breaks(std::vector<bool>(count, false))) {
      say("the model that it is compared with is broken at this level itself:");
      return blamePasses({Form::Kind::model, job.expected.source, job.found.options}, job.expected);
    }
    std::vector<size_t> culprits = findCulprits(count, kMostLayers, breaks);
    std::vector<bool> rest(count, true);
    for (size_t part : culprits)
      rest[part] = false;
    bool isEnough = !breaks(rest);
    // What was found early may be harmless where more was found later.
    for (size_t k = 0; isEnough && culprits.size() > 1 && k < culprits.size();) {
      rest[culprits[k]] = true;
      bool isNeeded = breaks(rest);
      rest[culprits[k]] = !isNeeded;
      if (isNeeded)
        ++k;
      else
        culprits.erase(culprits.begin() + static_cast<std::ptrdiff_t>(k));
    }
    std::vector<bool> alone(count, false);
    for (size_t part : culprits)
      alone[part] = true;
    tellLayers(mixed, culprits, isEnough, breaks(alone));
  }

  void tellLayers(const MixedModel &mixed, const std::vector<size_t> &culprits, bool isEnough, bool breaksAlone) {
    blame.json["kind"] = "layer";
    blame.json["enough"] = isEnough;
    json::Array layers;
    std::vector<std::string> mix, keep;
    std::string scheme;
    for (size_t part : culprits) {
      json::Object object = tellLayer(mixed, mixed.getShared()[part], keep, scheme);
      mix.insert(mix.end(), {"--mix", mixed.getShared()[part]});
      layers.push_back(std::move(object));
    }
    blame.json["layers"] = std::move(layers);
    if (!isEnough)
      say("errors add up over more than " + std::to_string(kMostLayers) + " layers; these are not enough to mend it");
    nameOverflow();
    // Errors of these layers may need those of others to break the bound.
    reproduce(breaksAlone ? mix : std::vector<std::string>());
    if (scheme.empty() || keep.empty())
      return;
    std::vector<std::string> fix{"onager", "compress", job.expected.source.path.empty() ? "-" : job.expected.source.path, "-o", "fixed.onnx",
                                 scheme == "f16" || scheme == "bf16" ? "--precision" : "--quantize", scheme};
    if (scheme == "int8")
      fix.insert(fix.end(), job.calibration.begin(), job.calibration.end());
    for (const std::string &node : keep)
      fix.insert(fix.end(), {"--keep", node});
    say("mend: " + quoteCommand(fix) + ", or scheme keep for " + (keep.size() == 1 ? "this layer" : "these layers") + " in its recipe");
    blame.json["mend"] = json::fixUTF8(quoteCommand(fix));
  }

  /// The plain model's node names the layer, as in recipes.
  json::Object tellLayer(const MixedModel &mixed, const std::string &value, std::vector<std::string> &keep, std::string &scheme) {
    const onnx::NodeProto *node = mixed.getLayer(value, /*ofOther=*/false).front();
    std::string name = node->name().empty() ? value : node->name(), operators;
    bool isNarrow = false;
    std::vector<const onnx::NodeProto *> layer = mixed.getLayer(value, /*ofOther=*/true);
    for (const onnx::NodeProto *part : llvm::reverse(layer)) {
      operators += (operators.empty() ? "" : ", ") + part->op_type();
      if (std::string found = findScheme(*part); !found.empty()) {
        isNarrow = true;
        scheme = found;
      }
    }
    std::string line = "broken by layer " + name + " (" + node->op_type() + "), value " + value;
    if (isNarrow)
      line += ": there it is " + operators;
    std::string changed;
    json::Array constants;
    for (const std::string &constant : mixed.findChangedConstants(value)) {
      changed += (changed.empty() ? "" : ", ") + constant;
      constants.push_back(json::fixUTF8(constant));
    }
    say(line + (changed.empty() ? "" : "; constants that differ: " + changed));
    bool wasNarrow = llvm::any_of(mixed.getLayer(value, /*ofOther=*/false), [](const onnx::NodeProto *part) { return !findScheme(*part).empty(); });
    // What compressing calls a layer; others work on bytes between layers.
    if (isNarrow && !wasNarrow && llvm::is_contained({"Conv", "Gather", "Gemm", "MatMul"}, node->op_type()))
      keep.push_back(name);
    return json::Object{{"node", json::fixUTF8(name)}, {"op", node->op_type()}, {"value", json::fixUTF8(value)}, {"operators", operators}, {"changed_constants", std::move(constants)}};
  }

  /// Where numbers end in one of two models.
  void nameOverflow() {
    CompiledSide mine(job.found, job.threads);
    std::unique_ptr<Side> theirs = openBeside(job.expected, mine, job.found.describe(), job.threads);
    bool overflows = llvm::any_of(compareSides(mine, *theirs, data, job.judge), [](const ValueErrors &value) { return value.metrics.nonFinite > 0; });
    if (overflows)
      nameNode(job.found, job.expected);
  }

  const Job &job;
  const Data &data;
  std::vector<std::string> words = job.words;
  Blame blame;
  size_t trials = 0; ///< forms that were judged
};

} // namespace

Blame bisect(const Job &job, const Data &data) { return Bisection(job, data).run(); }

} // namespace onager::cli
