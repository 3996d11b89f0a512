// Letters of other case, and numbers as text and back, whatever locale the application has set.
#include "runtime/core/strings.h"
#include "runtime/core/utf8.h"
#include <clocale>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <wctype.h>

namespace onager::rt {

/// The locale that knows all letters, whatever the application has set; null where the system has none, and letters beyond ASCII then stay.
static locale_t getUnicodeLocale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

static locale_t getPlainLocale() {
  static const locale_t locale = newlocale(LC_ALL_MASK, "C", nullptr);
  return locale;
}

std::string changeCase(const char *text, uint64_t size, bool isUpper) {
  locale_t locale = getUnicodeLocale() ? getUnicodeLocale() : getPlainLocale();
  std::string out;
  for (const char *at = text, *end = text + size; at != end;) {
    const char *start = at;
    int32_t character = readCharacter(at, end);
    if (character < 0)
      out.append(start, at);
    else
      appendCharacter(out, static_cast<uint32_t>(isUpper ? towupper_l(static_cast<wint_t>(character), locale) : towlower_l(static_cast<wint_t>(character), locale)));
  }
  return out;
}

/// The fewest digits that read back as the same number, as d.ddde+xx.
static void printShortest(double value, bool isSingle, char (&text)[40]) {
  int most = isSingle ? 8 : 16;
  for (int digits = 0; digits <= most; ++digits) {
    snprintf(text, sizeof text, "%.*e", digits, value);
    double back = strtod_l(text, nullptr, getPlainLocale());
    if (isSingle ? static_cast<float>(back) == static_cast<float>(value) : back == value)
      return;
  }
}

/// As NumPy writes floats: plain from 1e-4 to below 1e16, with ".0" behind integers; else with an exponent.
static std::string printFloat(double value, bool isSingle) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  char text[40];
  printShortest(value, isSingle, text);
  std::string digits;
  const char *mark = std::strchr(text, 'e');
  for (const char *at = text; at != mark; ++at)
    if (*at >= '0' && *at <= '9')
      digits += *at;
  int exponent = std::atoi(mark + 1);
  std::string sign = text[0] == '-' ? "-" : "";
  if (exponent < -4 || exponent >= 16)
    return sign + digits.substr(0, 1) + (digits.size() > 1 ? "." + digits.substr(1) : "") + mark;
  if (exponent < 0)
    return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole)
    return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::string printNumber(int32_t dtype, const void *value) {
  float single;
  double wide;
  int64_t integer;
  uint64_t natural;
  switch (dtype) {
  case ONAGER_F32:
    std::memcpy(&single, value, sizeof single);
    return printFloat(static_cast<double>(single), true);
  case ONAGER_F64:
    std::memcpy(&wide, value, sizeof wide);
    return printFloat(wide, false);
  case ONAGER_BOOL:
    return *static_cast<const char *>(value) ? "True" : "False";
  case ONAGER_U64:
    std::memcpy(&natural, value, sizeof natural);
    return std::to_string(natural);
  default:
    std::memcpy(&integer, value, sizeof integer);
    return std::to_string(integer);
  }
}

bool parseNumber(const char *text, uint64_t size, int32_t dtype, void *value) {
  std::string copy(text, size);
  if (copy.empty() || copy.find('\0') != std::string::npos)
    return false;
  char *end = nullptr;
  if (dtype == ONAGER_I64 || dtype == ONAGER_U64) {
    int64_t integer = dtype == ONAGER_I64 ? strtoll_l(copy.c_str(), &end, 10, getPlainLocale()) : static_cast<int64_t>(strtoull_l(copy.c_str(), &end, 10, getPlainLocale()));
    std::memcpy(value, &integer, sizeof integer);
    return *end == 0 && end != copy.c_str();
  }
  double number = strtod_l(copy.c_str(), &end, getPlainLocale());
  std::memcpy(value, &number, sizeof number);
  return *end == 0 && end != copy.c_str();
}

} // namespace onager::rt
