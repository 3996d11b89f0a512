// Element types of ONNX and MLIR.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;
using onnx::TensorProto;

namespace onager::frontend {

Type convertElementType(int32_t type, MLIRContext *context) {
  auto integer = [&](unsigned width, bool isUnsigned = false) {
    return IntegerType::get(context, width, isUnsigned ? IntegerType::Unsigned : IntegerType::Signless);
  };
  switch (type) {
  case TensorProto::FLOAT: return Float32Type::get(context);
  case TensorProto::DOUBLE: return Float64Type::get(context);
  case TensorProto::FLOAT16: return Float16Type::get(context);
  case TensorProto::BFLOAT16: return BFloat16Type::get(context);
  case TensorProto::FLOAT8E4M3FN: return Float8E4M3FNType::get(context);
  case TensorProto::FLOAT8E4M3FNUZ: return Float8E4M3FNUZType::get(context);
  case TensorProto::FLOAT8E5M2: return Float8E5M2Type::get(context);
  case TensorProto::FLOAT8E5M2FNUZ: return Float8E5M2FNUZType::get(context);
  case TensorProto::FLOAT8E8M0: return Float8E8M0FNUType::get(context);
  case TensorProto::FLOAT4E2M1: return Float4E2M1FNType::get(context);
  case TensorProto::BOOL: return integer(1);
  case TensorProto::INT2: return integer(2);
  case TensorProto::UINT2: return integer(2, true);
  case TensorProto::INT4: return integer(4);
  case TensorProto::UINT4: return integer(4, true);
  case TensorProto::INT8: return integer(8);
  case TensorProto::UINT8: return integer(8, true);
  case TensorProto::INT16: return integer(16);
  case TensorProto::UINT16: return integer(16, true);
  case TensorProto::INT32: return integer(32);
  case TensorProto::UINT32: return integer(32, true);
  case TensorProto::INT64: return integer(64);
  case TensorProto::UINT64: return integer(64, true);
  case TensorProto::STRING: return graph::StringType::get(context);
  default: return {};
  }
}

Type convertNumberType(int64_t type, MLIRContext *context) { return type == TensorProto::STRING ? Type() : convertElementType(static_cast<int32_t>(type), context); }

int32_t toOnnxElementType(Type type) {
  for (int32_t number = 1; number <= TensorProto::DataType_MAX; ++number)
    if (convertElementType(number, type.getContext()) == type)
      return number;
  return TensorProto::UNDEFINED;
}

std::string describeElementType(int32_t type) {
  std::string name = TensorProto::DataType_IsValid(type) ? TensorProto::DataType_Name(static_cast<TensorProto::DataType>(type)) : "";
  return name.empty() ? "number " + std::to_string(type) : name;
}

} // namespace onager::frontend
