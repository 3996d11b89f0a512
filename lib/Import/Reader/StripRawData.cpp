// Walks the wire format of a ModelProto so that protobuf never copies large weights.
//
//   model       = { field }            field 7 = graph
//   graph       = { field }            field 5 = initializer
//   initializer = { field }            field 9 = raw_data
//   field       = varint(number << 3 | wire type) payload
//
// The slim copy holds every field but the raw_data of large initialisers.
#include "lib/Import/Reader/ModelFile.h"

namespace onager::frontend {
namespace {

constexpr unsigned kModelGraph = 7, kGraphInitializer = 5, kTensorRawData = 9;
constexpr unsigned kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5;

struct Field {
  unsigned number = 0;
  unsigned wireType = 0;
  llvm::StringRef whole;   // tag and payload
  llvm::StringRef payload; // of length-delimited fields
};

bool readVarint(llvm::StringRef &bytes, uint64_t &value) {
  value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (bytes.empty())
      return false;
    auto byte = static_cast<unsigned char>(bytes.front());
    bytes = bytes.drop_front();
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (!(byte & 0x80))
      return true;
  }
  return false;
}

bool readField(llvm::StringRef &bytes, Field &field) {
  llvm::StringRef begin = bytes;
  uint64_t tag = 0, size = 0;
  if (!readVarint(bytes, tag))
    return false;
  field.number = static_cast<unsigned>(tag >> 3);
  field.wireType = static_cast<unsigned>(tag & 7);
  switch (field.wireType) {
  case kVarint:
    if (!readVarint(bytes, size))
      return false;
    size = 0;
    break;
  case kFixed64:
    size = 8;
    break;
  case kFixed32:
    size = 4;
    break;
  case kLength:
    if (!readVarint(bytes, size))
      return false;
    break;
  default:
    return false;
  }
  if (size > bytes.size())
    return false;
  field.payload = bytes.take_front(size);
  bytes = bytes.drop_front(size);
  field.whole = begin.take_front(begin.size() - bytes.size());
  return true;
}

void appendVarint(std::string &out, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void appendMessage(std::string &out, unsigned number, llvm::StringRef payload) {
  appendVarint(out, number << 3 | kLength);
  appendVarint(out, payload.size());
  out.append(payload.data(), payload.size());
}

bool stripTensor(llvm::StringRef bytes, std::string &slim, llvm::StringRef &rawData) {
  Field field;
  while (!bytes.empty()) {
    if (!readField(bytes, field))
      return false;
    bool isLarge = field.number == kTensorRawData && field.wireType == kLength && field.payload.size() >= kMinMappedBytes;
    if (isLarge)
      rawData = field.payload;
    else
      slim.append(field.whole.data(), field.whole.size());
  }
  return true;
}

bool stripGraph(llvm::StringRef bytes, std::string &slim, std::vector<llvm::StringRef> &rawData) {
  Field field;
  std::string tensor;
  while (!bytes.empty()) {
    if (!readField(bytes, field))
      return false;
    if (field.number != kGraphInitializer || field.wireType != kLength) {
      slim.append(field.whole.data(), field.whole.size());
      continue;
    }
    tensor.clear();
    rawData.emplace_back();
    if (!stripTensor(field.payload, tensor, rawData.back()))
      return false;
    appendMessage(slim, kGraphInitializer, tensor);
  }
  return true;
}

} // namespace

bool stripRawData(llvm::StringRef bytes, std::string &slim, std::vector<llvm::StringRef> &rawData) {
  Field field;
  std::string graph;
  while (!bytes.empty()) {
    if (!readField(bytes, field))
      return false;
    if (field.number == kModelGraph && field.wireType == kLength) {
      // A repeated graph field would be merged by the parser: the parts are joined, which means the same.
      if (!stripGraph(field.payload, graph, rawData))
        return false;
    } else {
      slim.append(field.whole.data(), field.whole.size());
    }
  }
  appendMessage(slim, kModelGraph, graph);
  return true;
}

} // namespace onager::frontend
