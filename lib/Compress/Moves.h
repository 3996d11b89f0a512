// Integers that data moved away from the nearest ones, as a text that recipes hold: applied again, it needs no data.
//
//   text  := base64(bytes), each of four codes of 2 bits, the first in the lowest
//   code  := 0 (stays) | 1 (one step up) | 2 (one step down) | 3, and the number of steps plus 512 as five codes, the lowest bits first
#ifndef ONAGER_LIB_COMPRESS_MOVES_H
#define ONAGER_LIB_COMPRESS_MOVES_H

#include "lib/Compress/Gptq.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace onager::compress {

/// Tells by how many steps each integer of `to` lies beside that of `from`, which has the same scales.
std::string printMoves(const std::vector<RoundedGroup> &from, const std::vector<RoundedGroup> &to);
/// Moves integers. False where the text is not one for so many, or would leave what the form can hold; groups are void then.
bool applyMoves(llvm::StringRef text, const IntegerForm &form, std::vector<RoundedGroup> &groups);

} // namespace onager::compress

#endif
