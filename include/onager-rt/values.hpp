// Sequences, maps and optionals for C++17 and later, over onager.hpp, header only. A run takes and gives them as several tensors (onager_info.form):
//
//   onager::Arguments arguments(session);                          // in the signature's order
//   arguments.add(std::vector<onager::Array<float>>{{{1, 2, 3, 4}, {2, 2}}, {{5}, {1}}});
//   arguments.add(std::map<std::string, float>{{"length", 3}, {"width", 4}});
//   onager::Results results(session, context.run(arguments.tensors()));
//   auto scores = results.get<std::vector<std::map<std::int64_t, float>>>("probabilities");
//
//   tensor           Array<T>                          T: a type of TypeOf, or std::string
//   sequence         std::vector<Array<T>>
//   map              std::map<K, V>
//   sequence(map)    std::vector<std::map<K, V>>       maps that share their keys
//   optional(form)   std::optional<...>
#ifndef ONAGER_RT_VALUES_HPP
#define ONAGER_RT_VALUES_HPP

#include "onager-rt/onager.hpp"
#include <algorithm>
#include <map>
#include <optional>

namespace onager {

/// A tensor that owns its elements, in row-major order.
template <typename T> struct Array {
  std::vector<T> elements;
  std::vector<std::int64_t> dims;
};

namespace detail {

/// Returns the element type of a C++ type or of texts.
template <typename T> constexpr onager_dtype typeOf() {
  if constexpr (std::is_same_v<T, std::string>)
    return ONAGER_STRING;
  else
    return TypeOf<T>::value;
}

/// Tensors of copies, which live as long as this.
class Store {
public:
  template <typename T, typename Elements> Tensor copy(const Elements &elements, std::vector<std::int64_t> dims) {
    using Element = std::conditional_t<std::is_same_v<T, std::string>, onager_string, T>;
    std::shared_ptr<Element[]> memory(new Element[elements.size() + 1]());
    std::size_t count = 0;
    for (const T &element : elements) {
      if constexpr (std::is_same_v<T, std::string>) {
        auto text = std::make_shared<std::string>(element);
        memory[count++] = {text->data(), text->size()};
        kept.push_back(std::move(text));
      } else {
        memory[count++] = element;
      }
    }
    kept.push_back(memory);
    return Tensor(typeOf<T>(), memory.get(), std::move(dims));
  }

private:
  std::vector<std::shared_ptr<void>> kept;
};

/// Returns element `at` of a tensor; throws std::logic_error where it has another type.
template <typename T> T readElement(const Tensor &tensor, std::int64_t at) {
  if constexpr (std::is_same_v<T, std::string>) {
    const onager_string &text = tensor.data<onager_string>()[at];
    return std::string(text.data, text.bytes);
  } else {
    return tensor.data<T>()[at];
  }
}

/// Returns `count` elements of a tensor from `first` on.
template <typename T> std::vector<T> readElements(const Tensor &tensor, std::int64_t first, std::int64_t count) {
  std::vector<T> elements;
  for (std::int64_t k = 0; k < count; ++k)
    elements.push_back(readElement<T>(tensor, first + k));
  return elements;
}

/// How a C++ type stands for a form: its name, its number of tensors, and both directions.
template <typename F> struct Form;

template <typename T> struct Form<Array<T>> {
  static std::string name() { return "tensor"; }
  static constexpr std::size_t count = 1;
  static void write(const Array<T> &array, Store &store, std::vector<Tensor> &tensors) {
    std::int64_t size = 1;
    for (std::int64_t extent : array.dims)
      size *= extent;
    if (size != static_cast<std::int64_t>(array.elements.size()))
      throw std::invalid_argument("an array has " + std::to_string(array.elements.size()) + " elements, its dims ask for " + std::to_string(size));
    tensors.push_back(store.copy<T>(array.elements, array.dims));
  }
  static Array<T> read(const Tensor *parts) { return {readElements<T>(parts[0], 0, parts[0].size()), parts[0].dims()}; }
};

template <typename T> struct Form<std::vector<Array<T>>> {
  static std::string name() { return "sequence"; }
  static constexpr std::size_t count = 3;
  static void write(const std::vector<Array<T>> &arrays, Store &store, std::vector<Tensor> &tensors) {
    std::vector<std::int64_t> ranks, dims;
    std::vector<T> data;
    for (const Array<T> &array : arrays) {
      ranks.push_back(static_cast<std::int64_t>(array.dims.size()));
      dims.insert(dims.end(), array.dims.begin(), array.dims.end());
      std::vector<Tensor> checked;
      Form<Array<T>>::write(array, store, checked);
      data.insert(data.end(), array.elements.begin(), array.elements.end());
    }
    tensors.push_back(store.copy<std::int64_t>(ranks, {static_cast<std::int64_t>(ranks.size())}));
    tensors.push_back(store.copy<std::int64_t>(dims, {static_cast<std::int64_t>(dims.size())}));
    tensors.push_back(store.copy<T>(data, {static_cast<std::int64_t>(data.size())}));
  }
  static std::vector<Array<T>> read(const Tensor *parts) {
    std::vector<Array<T>> arrays;
    std::int64_t dim = 0, datum = 0;
    for (std::int64_t rank : readElements<std::int64_t>(parts[0], 0, parts[0].size())) {
      std::vector<std::int64_t> dims = readElements<std::int64_t>(parts[1], dim, rank);
      std::int64_t size = 1;
      for (std::int64_t extent : dims)
        size *= extent;
      arrays.push_back({readElements<T>(parts[2], datum, size), std::move(dims)});
      dim += rank;
      datum += size;
    }
    return arrays;
  }
};

template <typename K, typename V> struct Form<std::vector<std::map<K, V>>> {
  static std::string name() { return "sequence(map)"; }
  static constexpr std::size_t count = 2;
  static void write(const std::vector<std::map<K, V>> &maps, Store &store, std::vector<Tensor> &tensors) {
    std::vector<K> keys;
    std::vector<V> values;
    for (std::size_t row = 0; row < maps.size(); ++row) {
      auto isSame = [](const auto &a, const auto &b) { return a.first == b.first; };
      if (maps[row].size() != maps[0].size() || !std::equal(maps[row].begin(), maps[row].end(), maps[0].begin(), isSame))
        throw std::invalid_argument("map " + std::to_string(row) + " of a sequence has other keys than the first");
      for (const auto &[key, value] : maps[row]) {
        if (row == 0)
          keys.push_back(key);
        values.push_back(value);
      }
    }
    auto extent = static_cast<std::int64_t>(keys.size());
    tensors.push_back(store.copy<K>(keys, {extent}));
    tensors.push_back(store.copy<V>(values, {static_cast<std::int64_t>(maps.size()), extent}));
  }
  static std::vector<std::map<K, V>> read(const Tensor *parts) {
    std::vector<std::map<K, V>> maps(static_cast<std::size_t>(parts[1].dims()[0]));
    for (std::size_t row = 0; row < maps.size(); ++row)
      for (std::int64_t k = 0; k < parts[0].size(); ++k)
        maps[row].emplace(readElement<K>(parts[0], k), readElement<V>(parts[1], static_cast<std::int64_t>(row) * parts[0].size() + k));
    return maps;
  }
};

template <typename K, typename V> struct Form<std::map<K, V>> {
  static std::string name() { return "map"; }
  static constexpr std::size_t count = 2;
  static void write(const std::map<K, V> &map, Store &store, std::vector<Tensor> &tensors) {
    Form<std::vector<std::map<K, V>>>::write({map}, store, tensors);
    tensors.back() = Tensor(tensors.back().dtype(), tensors.back().raw(), {static_cast<std::int64_t>(map.size())});
  }
  static std::map<K, V> read(const Tensor *parts) {
    std::map<K, V> map;
    for (std::int64_t k = 0; k < parts[0].size(); ++k)
      map.emplace(readElement<K>(parts[0], k), readElement<V>(parts[1], k));
    return map;
  }
};

template <typename F> struct Form<std::optional<F>> {
  static std::string name() { return "optional(" + Form<F>::name() + ")"; }
  static constexpr std::size_t count = 1 + Form<F>::count;
  static void write(const std::optional<F> &value, Store &store, std::vector<Tensor> &tensors) {
    tensors.push_back(store.copy<bool>(std::vector<bool>{value.has_value()}, {}));
    if (value)
      Form<F>::write(*value, store, tensors);
  }
  static std::optional<F> read(const Tensor *parts) { return parts[0].data<bool>()[0] ? std::optional<F>(Form<F>::read(parts + 1)) : std::nullopt; }
};

/// Throws std::invalid_argument where a value of the signature has another form.
inline void checkForm(const Info &info, const std::string &found) {
  const std::string &form = info.form.empty() ? std::string("tensor") : info.form;
  if (form != found)
    throw std::invalid_argument("'" + (info.value.empty() ? info.name : info.value) + "' is of form " + form + ", found " + found);
}

} // namespace detail

/// The inputs of a run, added in the signature's order. It owns copies of what is added but for tensors, whose memory stays their owner's.
class Arguments {
public:
  explicit Arguments(const Session &session) : infos(session.inputs()) {}

  /// Adds a tensor in memory of the caller's, which must outlive the run.
  Arguments &add(Tensor tensor) {
    detail::checkForm(getNext(), "tensor");
    all.push_back(std::move(tensor));
    return *this;
  }
  /// Adds a value of any form; throws std::invalid_argument where the input has another one, or the value is not consistent.
  template <typename F> Arguments &add(const F &value) {
    detail::checkForm(getNext(), detail::Form<F>::name());
    std::vector<Tensor> added;
    detail::Form<F>::write(value, store, added);
    while (added.size() < detail::Form<F>::count)
      added.push_back(makeEmpty(infos[all.size() + added.size()]));
    all.insert(all.end(), added.begin(), added.end());
    return *this;
  }
  /// Returns what Context::run takes, valid as long as this.
  const std::vector<Tensor> &tensors() const noexcept { return all; }

private:
  const Info &getNext() const {
    if (all.size() >= infos.size())
      throw std::invalid_argument("the model has " + std::to_string(infos.size()) + " tensors as inputs, and all are there");
    return infos[all.size()];
  }
  /// A tensor that stands for the content of an empty optional.
  Tensor makeEmpty(const Info &info) {
    std::vector<std::int64_t> dims = info.dims;
    std::size_t size = 1;
    for (std::int64_t &extent : dims) {
      extent = std::max<std::int64_t>(extent, 0);
      size *= static_cast<std::size_t>(extent);
    }
    std::size_t bytes = size * std::max<std::size_t>(onager_dtype_bytes(info.dtype), sizeof(onager_string));
    Tensor zeros = store.copy<std::uint64_t>(std::vector<std::uint64_t>(bytes / sizeof(std::uint64_t) + 1), {});
    return Tensor(info.dtype, zeros.raw(), std::move(dims));
  }

  std::vector<Info> infos;
  std::vector<Tensor> all;
  detail::Store store;
};

/// The outputs of a run by their names.
class Results {
public:
  /// Takes what Context::run returned; the memory stays the context's.
  Results(const Session &session, Outputs outputs) : infos(session.outputs()), all(std::move(outputs)) {}

  /// Returns a copy of an output; throws std::invalid_argument where there is none of the name or it has another form, std::logic_error where its elements
  /// have another type.
  template <typename F> F get(const std::string &name) const {
    for (std::size_t k = 0; k < infos.size(); ++k)
      if ((infos[k].value.empty() ? infos[k].name : infos[k].value) == name) {
        detail::checkForm(infos[k], detail::Form<F>::name());
        return detail::Form<F>::read(all.data() + k);
      }
    throw std::invalid_argument("the model has no output '" + name + "'");
  }

private:
  std::vector<Info> infos;
  Outputs all;
};

} // namespace onager

#endif
