// Custom operators written in Python: functions that the runtime and the compiler call, with the GIL taken.
#include "python/src/operators.h"
#include <cstring>
#include <nanobind/stl/string.h>

namespace nb = nanobind;

namespace {

/// What a registered operator calls; sessions may do so until the process ends, so that it is never freed.
struct Functions {
  nb::object infer, run;
};

nb::bytes makeBytes(const onager_string &text) { return nb::bytes(text.data ? text.data : "", static_cast<size_t>(text.bytes)); }

nb::tuple makeDims(const int64_t *dims, int32_t rank) {
  nb::list list;
  for (int32_t d = 0; d < rank; ++d)
    list.append(dims[d]);
  return nb::tuple(list);
}

/// The elements as a memoryview, texts as a list of bytes, None where they are not known.
nb::object makeData(const onager_tensor &tensor, bool isWritable) {
  if (!tensor.data)
    return nb::none();
  if (tensor.dtype == ONAGER_STRING) {
    nb::list texts;
    for (uint64_t k = 0; k < tensor.bytes / sizeof(onager_string); ++k)
      texts.append(makeBytes(static_cast<const onager_string *>(tensor.data)[k]));
    return texts;
  }
  PyObject *view = PyMemoryView_FromMemory(static_cast<char *>(tensor.data), static_cast<Py_ssize_t>(tensor.bytes), isWritable ? PyBUF_WRITE : PyBUF_READ);
  if (!view)
    throw nb::python_error();
  return nb::steal(view);
}

nb::object makeTensor(const onager_tensor &tensor, bool isWritable) {
  if (!tensor.dtype)
    return nb::none();
  return nb::make_tuple(tensor.dtype, makeDims(tensor.dims, tensor.rank), makeData(tensor, isWritable));
}

nb::object makeAttribute(const onager_attribute &attribute) {
  auto pick = [&](uint64_t k) -> nb::object {
    return attribute.floats ? nb::object(nb::float_(attribute.floats[k])) : attribute.ints ? nb::object(nb::int_(attribute.ints[k])) : nb::object(makeBytes(attribute.strings[k]));
  };
  if (attribute.type == ONAGER_ATTRIBUTE_TENSOR)
    return makeTensor(*attribute.tensor, false);
  if (attribute.type < ONAGER_ATTRIBUTE_FLOATS)
    return pick(0);
  nb::list values;
  for (uint64_t k = 0; k < attribute.count; ++k)
    values.append(pick(k));
  return values;
}

/// (domain, type, name, version, {attribute: value})
nb::tuple makeNode(const onager_node &node) {
  nb::dict attributes;
  for (uint32_t k = 0; k < node.attribute_count; ++k)
    attributes[node.attributes[k].name] = makeAttribute(node.attributes[k]);
  return nb::make_tuple(node.domain, node.type, node.name, node.version, attributes);
}

nb::list makeTensors(const onager_tensor *tensors, uint64_t count, bool isWritable) {
  nb::list list;
  for (uint64_t k = 0; k < count; ++k)
    list.append(makeTensor(tensors[k], isWritable));
  return list;
}

/// Calls `function` with the GIL and turns what it raises into the call's failure.
template <typename Function> int32_t guard(onager_call *call, Function function) {
  nb::gil_scoped_acquire gil;
  try {
    function(*static_cast<Functions *>(call->user));
    return 0;
  } catch (nb::python_error &error) {
    std::string text = std::string(nb::str(error.type().attr("__name__")).c_str()) + ": " + nb::str(error.value()).c_str();
    call->fail(call, text.c_str());
  } catch (const std::exception &error) {
    call->fail(call, error.what());
  }
  return 1;
}

int32_t infer(onager_call *call) {
  return guard(call, [call](const Functions &functions) {
    nb::object told = functions.infer(makeNode(*call->node), makeTensors(call->inputs, call->input_count, false), call->output_count, call->is_compiling != 0);
    uint64_t k = 0;
    for (nb::handle one : told) {
      onager_result &result = call->results[k++];
      result.dtype = nb::cast<int32_t>(one[0]);
      result.rank = 0;
      for (nb::handle extent : one[1])
        result.dims[result.rank++] = nb::cast<int64_t>(extent);
    }
  });
}

/// Copies texts, which Python may free, into memory of the call.
void writeTexts(onager_call *call, onager_tensor &output, nb::handle texts) {
  auto *elements = static_cast<onager_string *>(output.data);
  for (nb::handle text : texts) {
    nb::bytes bytes = nb::cast<nb::bytes>(text);
    auto *copy = static_cast<char *>(call->allocate(call, bytes.size()));
    if (!copy)
      throw std::bad_alloc();
    std::memcpy(copy, bytes.c_str(), bytes.size());
    *elements++ = {copy, bytes.size()};
  }
}

int32_t run(onager_call *call) {
  return guard(call, [call](const Functions &functions) {
    nb::object texts = functions.run(makeNode(*call->node), makeTensors(call->inputs, call->input_count, false), makeTensors(call->outputs, call->output_count, true));
    for (uint64_t k = 0; k < call->output_count; ++k)
      if (call->outputs[k].dtype == ONAGER_STRING)
        writeTexts(call, call->outputs[k], texts[k]);
  });
}

void check(onager_status status) {
  if (status == ONAGER_BAD_ARGUMENT)
    throw nb::value_error(onager_last_error());
  if (status)
    throw std::runtime_error(onager_last_error());
}

void registerOperator(const std::string &domain, const std::string &type, int since, nb::object inferFunction, nb::object runFunction) {
  auto *functions = new Functions{std::move(inferFunction), std::move(runFunction)};
  onager_operator op{sizeof op, since, domain.c_str(), type.c_str(), functions, infer, run};
  check(onager_operator_register(&op));
}

nb::list listOperators() {
  nb::list addresses;
  for (size_t k = 0; const onager_operator *op = onager_operator_at(k); ++k)
    addresses.append(reinterpret_cast<uintptr_t>(op));
  return addresses;
}

} // namespace

void addOperators(nb::module_ &m) {
  m.def("register_operator", &registerOperator, nb::arg("domain"), nb::arg("type"), nb::arg("since"), nb::arg("infer"), nb::arg("run"));
  m.def("load_operators", [](const std::string &path) { check(onager_operators_load(path.c_str())); }, nb::arg("path"));
  m.def("operators", &listOperators);
}
