// SHA-256, which names the entries of the cache.
#ifndef ONAGER_RUNTIME_CACHE_SHA256_H
#define ONAGER_RUNTIME_CACHE_SHA256_H

#include <string>
#include <string_view>

namespace onager::rt {

/// Returns the digest of the bytes (FIPS 180-4, section 6.2) as 64 lower-case hex digits.
std::string hashSha256(std::string_view bytes);

} // namespace onager::rt

#endif
