// Changes models field by field, so that most of what the target sees is a well-formed message: numbers, names, types, lists of nodes and
// attributes. Every third mutation is libFuzzer's own, of bytes.
#include "google/protobuf/message.h"
#include "lib/Import/Reader/Schemas.h"
#include "onnx/onnx_pb.h"
#include <cmath>
#include <cstring>
#include <random>

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Random = std::mt19937;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace {

/// Collects all messages inside one, and all their texts of names.
struct Parts {
  std::vector<Message *> messages;
  std::vector<std::string> texts;

  void collect(Message &message) {
    messages.push_back(&message);
    const Reflection &reflection = *message.GetReflection();
    std::vector<const FieldDescriptor *> fields;
    reflection.ListFields(message, &fields);
    for (const FieldDescriptor *field : fields) {
      if (field->type() == FieldDescriptor::TYPE_STRING)
        for (int k = 0, count = field->is_repeated() ? reflection.FieldSize(message, field) : 1; k < count; ++k)
          texts.push_back(field->is_repeated() ? reflection.GetRepeatedString(message, field, k) : reflection.GetString(message, field));
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE)
        continue;
      if (!field->is_repeated())
        collect(*reflection.MutableMessage(&message, field));
      for (int k = 0; field->is_repeated() && k < reflection.FieldSize(message, field); ++k)
        collect(*reflection.MutableRepeatedMessage(&message, field, k));
    }
  }
};

int64_t drawNumber(Random &random) {
  static const int64_t edges[] = {0, 1, -1, 2, 3, 7, 8, 9, 16, 64, 255, 65536, INT32_MAX, INT32_MIN, int64_t(1) << 32, int64_t(1) << 62, INT64_MAX, INT64_MIN};
  return random() % 4 ? edges[random() % std::size(edges)] : static_cast<int64_t>(random() % 40) - 4;
}

float drawFloat(Random &random) {
  static const float edges[] = {0, -0.0f, 1, -1, 0.5f, 1e-30f, 1e30f, INFINITY, -INFINITY, NAN};
  return edges[random() % std::size(edges)];
}

std::string drawText(Random &random, const FieldDescriptor &field, const std::string &before, const Parts &parts) {
  static const std::vector<onager::frontend::SchemaInfo> schemas = onager::frontend::listSchemas();
  if (field.name() == "op_type" && random() % 4 && !schemas.empty())
    return schemas[random() % schemas.size()].name;
  if (random() % 3 && !parts.texts.empty() && field.type() == FieldDescriptor::TYPE_STRING)
    return parts.texts[random() % parts.texts.size()];
  std::string text = before.substr(0, 4096);
  size_t size = text.size();
  text.resize(size + 64);
  text.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t *>(text.data()), size, text.size()));
  return text;
}

/// Sets a field that is no message, or element `at` of one; at the end where there is no such element.
void setScalar(Message &message, const FieldDescriptor &field, int at, Random &random, const Parts &parts) {
  const Reflection &reflection = *message.GetReflection();
  bool isList = field.is_repeated(), isNew = isList && at >= reflection.FieldSize(message, &field);
  auto put = [&](auto set, auto setAt, auto add, const auto &value) {
    if (!isList)
      (reflection.*set)(&message, &field, value);
    else if (isNew)
      (reflection.*add)(&message, &field, value);
    else
      (reflection.*setAt)(&message, &field, at, value);
  };
  switch (field.cpp_type()) {
  case FieldDescriptor::CPPTYPE_INT32: return put(&Reflection::SetInt32, &Reflection::SetRepeatedInt32, &Reflection::AddInt32, static_cast<int32_t>(drawNumber(random)));
  case FieldDescriptor::CPPTYPE_INT64: return put(&Reflection::SetInt64, &Reflection::SetRepeatedInt64, &Reflection::AddInt64, drawNumber(random));
  case FieldDescriptor::CPPTYPE_UINT64: return put(&Reflection::SetUInt64, &Reflection::SetRepeatedUInt64, &Reflection::AddUInt64, static_cast<uint64_t>(drawNumber(random)));
  case FieldDescriptor::CPPTYPE_FLOAT: return put(&Reflection::SetFloat, &Reflection::SetRepeatedFloat, &Reflection::AddFloat, drawFloat(random));
  case FieldDescriptor::CPPTYPE_DOUBLE: return put(&Reflection::SetDouble, &Reflection::SetRepeatedDouble, &Reflection::AddDouble, static_cast<double>(drawFloat(random)));
  case FieldDescriptor::CPPTYPE_ENUM: return put(&Reflection::SetEnumValue, &Reflection::SetRepeatedEnumValue, &Reflection::AddEnumValue, static_cast<int>(random() % 30));
  default: break;
  }
  std::string before = isNew ? "" : isList ? reflection.GetRepeatedString(message, &field, at) : reflection.GetString(message, &field);
  std::string text = drawText(random, field, before, parts);
  if (!isList)
    reflection.SetString(&message, &field, text);
  else if (isNew)
    reflection.AddString(&message, &field, text);
  else
    reflection.SetRepeatedString(&message, &field, at, text);
}

/// Adds, copies, swaps or drops elements of a list, or changes one.
void mutateList(Message &message, const FieldDescriptor &field, Random &random, const Parts &parts) {
  const Reflection &reflection = *message.GetReflection();
  int count = reflection.FieldSize(message, &field), at = count ? static_cast<int>(random() % static_cast<unsigned>(count)) : 0;
  unsigned choice = random() % 5;
  if (count && choice == 0)
    reflection.SwapElements(&message, &field, at, static_cast<int>(random() % static_cast<unsigned>(count)));
  else if (count && choice == 1) {
    reflection.SwapElements(&message, &field, at, count - 1);
    reflection.RemoveLast(&message, &field);
  } else if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
    setScalar(message, field, choice == 2 ? count : at, random, parts);
  } else {
    // A copy of an element, or of a message of the same kind from elsewhere.
    Message *added = reflection.AddMessage(&message, &field);
    for (unsigned k = 0; k < 8; ++k)
      if (const Message *other = parts.messages[random() % parts.messages.size()]; other->GetDescriptor() == added->GetDescriptor() && other->ByteSizeLong() < 4096)
        return added->CopyFrom(*other);
  }
}

void mutate(Message &root, Random &random) {
  Parts parts;
  parts.collect(root);
  Message &message = *parts.messages[random() % parts.messages.size()];
  std::vector<const FieldDescriptor *> fields;
  message.GetReflection()->ListFields(message, &fields);
  const auto &descriptor = *message.GetDescriptor();
  // Fields that are set matter more than those that could be.
  const FieldDescriptor &field = !fields.empty() && random() % 4 ? *fields[random() % fields.size()] : *descriptor.field(static_cast<int>(random() % static_cast<unsigned>(descriptor.field_count())));
  if (field.is_repeated())
    return mutateList(message, field, random, parts);
  if (random() % 6 == 0)
    message.GetReflection()->ClearField(&message, &field);
  else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
    message.GetReflection()->MutableMessage(&message, &field);
  else
    setScalar(message, field, 0, random, parts);
}

} // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize, unsigned seed) {
  Random random(seed);
  onnx::ModelProto model;
  if (random() % 3 == 0 || !model.ParseFromArray(data, static_cast<int>(size)))
    return LLVMFuzzerMutate(data, size, maxSize);
  for (unsigned k = 1 + random() % 4; k > 0; --k)
    mutate(model, random);
  std::string bytes = model.SerializeAsString();
  if (bytes.empty() || bytes.size() > maxSize)
    return LLVMFuzzerMutate(data, size, maxSize);
  std::memcpy(data, bytes.data(), bytes.size());
  return bytes.size();
}
