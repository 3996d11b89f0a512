// Where the compiler leaves a variant for the runtime.
#ifndef ONAGER_RUNTIME_RECOMPILE_OUTPUTFOLDER_H
#define ONAGER_RUNTIME_RECOMPILE_OUTPUTFOLDER_H

#include "runtime/core/descriptor.h"
#include "runtime/core/model.h"
#include <string>

namespace onager::rt {

/// Reads a file from its beginning, up to `most` bytes.
std::string readAll(int fd, size_t most);

/// A folder of the user's own, gone with the object and all that lies in it. In memory where that can be had: a full disk stops no compilation then. Its lock is held as
/// long as it is in use; those that ended processes have left behind are removed by the next who makes one.
class OutputFolder {
public:
  OutputFolder() = default;
  OutputFolder(const OutputFolder &) = delete;
  ~OutputFolder();
  Outcome make();
  /// The path of the file that the compiler writes.
  std::string output() const { return path + "/variant.so"; }
  /// Reads that file; fails where there is none.
  Outcome read(std::string &payload) const;
  std::string path;

private:
  bool makeIn(const std::string &place);
  Descriptor lock; ///< of the folder
};

} // namespace onager::rt

#endif
