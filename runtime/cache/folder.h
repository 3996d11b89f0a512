// What the cache opens: folders and files of the user that nobody else may write to, without following links.
#ifndef ONAGER_RUNTIME_CACHE_FOLDER_H
#define ONAGER_RUNTIME_CACHE_FOLDER_H

#include "runtime/core/descriptor.h"
#include <string>
#include <sys/stat.h>
#include <vector>

namespace onager::rt {

/// Returns why code must not come from what fstat described, whose kind should be S_IFREG or S_IFDIR; null where it may.
const char *findDistrust(const struct stat &info, mode_t kind);

/// Opens a folder in another. None, with errno, where it is missing, a link or not to be trusted (EPERM).
Descriptor openFolder(int parent, const std::string &name);

/// Creates or opens a file for writing, with open's further flags, in a folder that is made where it is missing; `folder` becomes that folder. None, with errno,
/// where that fails. Another process may remove an empty folder meanwhile.
Descriptor createFile(int parent, const std::string &folderName, const std::string &name, int flags, Descriptor &folder);

/// Returns the names in a folder, sorted.
std::vector<std::string> listNames(int folder);

/// True where a name in a folder still leads to the open file.
bool leadsTo(int folder, const std::string &name, int file);

/// True for that many lower-case hex digits at the start of a text.
bool hasDigits(const std::string &text, size_t count);

/// Names of a group's folder, and in it of entries, locks, and files on their way to be entries; each is a key and a suffix.
constexpr size_t kGroupDigits = 32, kKeyDigits = 64;
constexpr char kEntrySuffix[] = ".variant", kLockSuffix[] = ".lock", kTemporarySuffix[] = ".tmp";
inline bool isGroupName(const std::string &name) { return name.size() == kGroupDigits && hasDigits(name, kGroupDigits); }
inline bool isEntryName(const std::string &name) { return hasDigits(name, kKeyDigits) && !name.compare(kKeyDigits, std::string::npos, kEntrySuffix); }

} // namespace onager::rt

#endif
