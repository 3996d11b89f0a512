// Factors in recipes.
#include "lib/Compress/Scaling/Scaling.h"
#include <algorithm>
#include <cmath>

namespace json = llvm::json;

namespace onager::compress {

static constexpr const char *kMethods[] = {"cle", "depthwise", "smoothquant", "awq"};

const char *printScalingMethod(ScalingMethod method) { return kMethods[static_cast<int>(method)]; }

bool readScalingMethod(const std::string &name, ScalingMethod &method) {
  const auto *found = std::find(std::begin(kMethods), std::end(kMethods), name);
  if (found != std::end(kMethods))
    method = static_cast<ScalingMethod>(found - std::begin(kMethods));
  return found != std::end(kMethods);
}

std::vector<std::string> listScalingMethods() { return {std::begin(kMethods), std::end(kMethods)}; }

json::Value printScalings(const std::vector<Scaling> &scalings) {
  json::Array entries;
  for (const Scaling &scaling : scalings) {
    json::Array factors;
    for (float factor : scaling.factors)
      factors.push_back(static_cast<double>(factor));
    json::Object entry{{"method", printScalingMethod(scaling.method)}, {"value", json::fixUTF8(scaling.value)}, {"inserted", scaling.isInserted}, {"factors", std::move(factors)}};
    if (scaling.method != ScalingMethod::cle)
      entry["alpha"] = scaling.alpha;
    entries.push_back(std::move(entry));
  }
  return entries;
}

static bool readScaling(const json::Object *object, Scaling &scaling, std::string &error) {
  const json::Array *factors = object ? object->getArray("factors") : nullptr;
  if (!factors || !object->getString("value") || !readScalingMethod(object->getString("method").value_or("").str(), scaling.method)) {
    error = "the recipe: scaling: expected method, value and factors";
    return false;
  }
  scaling.value = object->getString("value")->str();
  scaling.alpha = object->getNumber("alpha").value_or(0);
  scaling.isInserted = object->getBoolean("inserted").value_or(false);
  for (const json::Value &value : *factors) {
    auto factor = static_cast<float>(value.getAsNumber().value_or(0));
    if (!std::isnormal(factor) || factor < 0) {
      error = "the recipe: scaling: value '" + scaling.value + "': expected factors above 0";
      return false;
    }
    scaling.factors.push_back(factor);
  }
  return true;
}

bool readScalings(const std::string &recipe, std::vector<Scaling> &scalings, std::string &error) {
  llvm::Expected<json::Value> value = json::parse(recipe);
  if (!value) {
    error = "the recipe: " + llvm::toString(value.takeError());
    return false;
  }
  const json::Object *root = value->getAsObject();
  const json::Array *entries = root ? root->getArray("scaling") : nullptr;
  for (size_t k = 0; entries && k < entries->size(); ++k) {
    scalings.emplace_back();
    if (!readScaling((*entries)[k].getAsObject(), scalings.back(), error))
      return false;
  }
  return true;
}

bool repeatScaling(ModelGraph &model, const Scaling &scaling, std::string &error) {
  std::vector<ScalingSite> sites = listSites(model);
  auto site = std::find_if(sites.begin(), sites.end(), [&](const ScalingSite &own) { return own.value == scaling.value; });
  std::string name = "scaling: value '" + scaling.value + "': ";
  if (site == sites.end())
    error = name + "no layer reads it";
  else if (static_cast<size_t>(site->channels) != scaling.factors.size())
    error = name + "expected " + std::to_string(site->channels) + " factors, found " + std::to_string(scaling.factors.size());
  else if (!scaling.isInserted && !site->obstacle.empty())
    error = name + site->obstacle;
  else if (scaling.isInserted && !site->canInsert())
    error = name + "a convolution reads it";
  else
    applyFactors(model, *site, scaling.factors, scaling.isInserted);
  return error.empty();
}

} // namespace onager::compress
