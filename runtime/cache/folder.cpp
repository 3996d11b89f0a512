// Opening what the cache may trust.
#include "runtime/cache/folder.h"
#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

namespace onager::rt {

const char *findDistrust(const struct stat &info, mode_t kind) {
  if ((info.st_mode & S_IFMT) != kind)
    return kind == S_IFDIR ? "is not a folder" : "is not a regular file";
  if (info.st_uid != geteuid())
    return "belongs to another user";
  return info.st_mode & (S_IWGRP | S_IWOTH) ? "may be written to by others" : nullptr;
}

Descriptor openFolder(int parent, const std::string &name) {
  Descriptor folder(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info;
  if (!folder || (!fstat(folder.get(), &info) && !findDistrust(info, S_IFDIR)))
    return folder;
  errno = EPERM;
  return Descriptor();
}

Descriptor createFile(int parent, const std::string &folderName, const std::string &name, int flags, Descriptor &folder) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (mkdirat(parent, folderName.c_str(), 0700) && errno != EEXIST)
      break;
    folder = openFolder(parent, folderName);
    if (!folder && errno != ENOENT)
      break;
    Descriptor file(folder ? openat(folder.get(), name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | flags, 0600) : -1);
    if (file || errno != ENOENT)
      return file;
  }
  return Descriptor();
}

std::vector<std::string> listNames(int folder) {
  std::vector<std::string> names;
  int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = again < 0 ? nullptr : fdopendir(again);
  if (!stream) {
    Descriptor closed(again);
    return names;
  }
  while (const dirent *found = readdir(stream))
    names.emplace_back(found->d_name);
  closedir(stream);
  std::sort(names.begin(), names.end());
  return names;
}

bool leadsTo(int folder, const std::string &name, int file) {
  struct stat named, open;
  return !fstatat(folder, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) && !fstat(file, &open) && named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

bool hasDigits(const std::string &text, size_t count) {
  return text.size() >= count && std::all_of(text.data(), text.data() + count, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

} // namespace onager::rt
